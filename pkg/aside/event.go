package aside

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"example.com/lockstep/pkg/frame"
	"google.golang.org/protobuf/encoding/protowire"
)

// Event is one event of a list, with all that a handler is given of it and all that its receipt needs.
type Event struct {
	ID         string
	Type       string
	Data       []byte
	Headers    map[string]string // the application's
	Time       time.Time         // of its message in the log
	Publisher  frame.PublisherID // of the session that sent it; zero for a plain event
	Generation uint64            // of that session
	Seq        uint64            // of the publisher's event; of a plain event, that of its message in the log
	Receipt    bool              // asks for a receipt once the event is applied
}

// Field numbers of Event and of Header, and the wire type of each.
const (
	eventID, eventType, eventData, eventHeaders, eventTime  = 1, 2, 3, 4, 5
	eventPublisher, eventGeneration, eventSeq, eventReceipt = 6, 7, 8, 9
	headerName, headerValue                                 = 1, 2
)

var (
	eventTypes = []protowire.Type{
		0: -1, eventID: protowire.BytesType, eventType: protowire.BytesType, eventData: protowire.BytesType,
		eventHeaders: protowire.BytesType, eventTime: protowire.Fixed64Type, eventPublisher: protowire.BytesType,
		eventGeneration: protowire.VarintType, eventSeq: protowire.VarintType, eventReceipt: protowire.VarintType,
	}
	headerTypes = []protowire.Type{0: -1, headerName: protowire.BytesType, headerValue: protowire.BytesType}
)

// framedID is the id of a publisher's event.
func (e *Event) framedID() string {
	if e.Publisher == (frame.PublisherID{}) {
		return ""
	}
	return e.Publisher.String() + "-" + strconv.FormatUint(e.Seq, 10)
}

// Append encodes e. Equal events have equal encodings.
func (e *Event) Append(b []byte) []byte {
	if e.ID != e.framedID() {
		b = appendText(b, eventID, e.ID)
	}
	b = appendText(b, eventType, e.Type)
	b = appendText(b, eventData, e.Data)
	if len(e.Headers) > 0 {
		for _, k := range slices.Sorted(maps.Keys(e.Headers)) {
			header := appendText(appendText(nil, headerName, k), headerValue, e.Headers[k])
			b = protowire.AppendBytes(protowire.AppendTag(b, eventHeaders, protowire.BytesType), header)
		}
	}
	b = appendTime(b, eventTime, e.Time)
	if e.Publisher != (frame.PublisherID{}) {
		b = appendText(b, eventPublisher, e.Publisher[:])
	}
	b = appendUint(b, eventGeneration, e.Generation)
	b = appendUint(b, eventSeq, e.Seq)
	if e.Receipt {
		b = appendUint(b, eventReceipt, 1)
	}
	return b
}

// DecodeEvent reads an event of a list. Its Data points into b. Its error wraps ErrMalformed.
func DecodeEvent(b []byte) (Event, error) {
	var e Event
	err := eachField(b, eventTypes, func(f *field) error {
		switch f.num {
		case eventID:
			e.ID = string(f.bytes)
		case eventType:
			e.Type = string(f.bytes)
		case eventData:
			e.Data = f.bytes
		case eventHeaders:
			return e.addHeader(f.bytes)
		case eventTime:
			e.Time = timeOf(f.int)
		case eventPublisher:
			if len(f.bytes) != len(e.Publisher) {
				return malformed(fmt.Sprintf("publisher id has %d bytes, not %d", len(f.bytes), len(e.Publisher)))
			}
			copy(e.Publisher[:], f.bytes)
		case eventGeneration:
			e.Generation = f.int
		case eventSeq:
			e.Seq = f.int
		case eventReceipt:
			e.Receipt = f.int != 0
		}
		return nil
	})
	if err != nil {
		return Event{}, err
	}
	if e.ID == "" {
		e.ID = e.framedID()
	}
	if e.ID == "" {
		return Event{}, malformed("event without an id")
	}
	return e, nil
}

func (e *Event) addHeader(b []byte) error {
	var name, value string
	err := eachField(b, headerTypes, func(f *field) error {
		if f.num == headerName {
			name = string(f.bytes)
		} else {
			value = string(f.bytes)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if e.Headers == nil {
		e.Headers = make(map[string]string)
	}
	e.Headers[name] = value
	return nil
}
