package frame

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// Event is one decoded event. Its slices point into the message it was read from.
type Event struct {
	Key     []byte
	Seq     uint64
	Data    []byte
	Type    []byte
	Receipt bool
	Raw     []byte // the event as it stands in its frame, with tag and length: what a router appends to a batch
	body    []byte
	headers bool
}

// Field numbers of Event.
const (
	eventKey, eventSeq, eventData, eventType, eventHeaders, eventReceipt = 1, 2, 3, 4, 5, 6
)

// decodeEvent reads an event's body and checks its limits.
func decodeEvent(body []byte, e *Event) error {
	*e = Event{body: body}
	var f field
	for b := body; len(b) > 0; {
		rest, err := next(b, &f)
		if err != nil {
			return err
		}
		b = rest
		want := protowire.BytesType
		if f.num == eventSeq || f.num == eventReceipt {
			want = protowire.VarintType
		}
		if f.num >= eventKey && f.num <= eventReceipt && f.typ != want {
			return malformed(fmt.Sprintf("field %d of an event has wire type %d", f.num, f.typ))
		}
		switch f.num {
		case eventKey:
			e.Key = f.bytes
		case eventSeq:
			e.Seq = f.int
		case eventData:
			e.Data = f.bytes
		case eventType:
			e.Type = f.bytes
		case eventReceipt:
			e.Receipt = f.int != 0
		case eventHeaders:
			if _, _, err := decodeHeader(f.bytes); err != nil {
				return err
			}
			e.headers = true
		}
	}
	if err := CheckKey(e.Key); err != nil {
		return err
	}
	if err := CheckEventSize(len(body)); err != nil {
		return err
	}
	if e.Seq == 0 {
		return malformed("event without a seq")
	}
	return nil
}

// Headers returns the application's headers, or nil.
func (e *Event) Headers() map[string]string {
	if !e.headers {
		return nil
	}
	h := make(map[string]string)
	var f field
	for b := e.body; len(b) > 0; {
		b, _ = next(b, &f)
		if f.num == eventHeaders {
			k, v, _ := decodeHeader(f.bytes)
			h[string(k)] = string(v)
		}
	}
	return h
}

func decodeHeader(b []byte) (key, value []byte, err error) {
	var f field
	for len(b) > 0 {
		if b, err = next(b, &f); err != nil {
			return nil, nil, err
		}
		if f.typ == protowire.BytesType && f.num == 1 {
			key = f.bytes
		}
		if f.typ == protowire.BytesType && f.num == 2 {
			value = f.bytes
		}
	}
	return key, value, nil
}

// Draft is an event before it has a seq, encoded but for it. A frame adds the seq when the event leaves.
type Draft []byte

// NewDraft encodes an event, copying all it is given. It returns an error that wraps ErrNoKey, ErrKeyTooLong,
// ErrKeyNotUTF8 or ErrEventTooLarge.
func NewDraft(key string, data []byte, typ string, headers map[string]string, receipt bool) (Draft, error) {
	if err := CheckKey(key); err != nil {
		return nil, err
	}
	n := len(key) + len(data) + len(typ) + 24
	for k, v := range headers {
		n += len(k) + len(v) + 16
	}
	d := make([]byte, 0, n)
	d = protowire.AppendTag(d, eventKey, protowire.BytesType)
	d = protowire.AppendString(d, key)
	if len(data) > 0 {
		d = protowire.AppendTag(d, eventData, protowire.BytesType)
		d = protowire.AppendBytes(d, data)
	}
	if typ != "" {
		d = protowire.AppendTag(d, eventType, protowire.BytesType)
		d = protowire.AppendString(d, typ)
	}
	for k, v := range headers {
		d = protowire.AppendTag(d, eventHeaders, protowire.BytesType)
		d = protowire.AppendVarint(d, uint64(protowire.SizeBytes(len(k))+protowire.SizeBytes(len(v))+2))
		d = protowire.AppendTag(d, 1, protowire.BytesType)
		d = protowire.AppendString(d, k)
		d = protowire.AppendTag(d, 2, protowire.BytesType)
		d = protowire.AppendString(d, v)
	}
	if receipt {
		d = protowire.AppendTag(d, eventReceipt, protowire.VarintType)
		d = protowire.AppendVarint(d, 1)
	}
	return d, CheckEventSize(len(d) + 1 + protowire.SizeVarint(1<<63))
}

// EventOverhead bounds the bytes that an event without type and headers takes in a frame beside its key and data.
const EventOverhead = 40

// Size is how many bytes the event adds to a frame, at most.
func (d Draft) Size() int { return len(d) + 16 }

// AppendEvent appends the event with its seq to a frame begun with AppendHeader.
func AppendEvent(b []byte, d Draft, seq uint64) []byte {
	b = protowire.AppendTag(b, frameEvents, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(len(d)+1+protowire.SizeVarint(seq)))
	b = append(b, d...)
	b = protowire.AppendTag(b, eventSeq, protowire.VarintType)
	return protowire.AppendVarint(b, seq)
}
