package frame

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// Code says how a frame fared.
type Code uint32

// The codes of frame.proto.
const (
	Stored Code = iota
	Closing
	Busy
	LogFull
	LogError
	Malformed
	NoKey
	KeyTooLong
	EventTooLarge
	SessionTooOld
)

var codeNames = [...]string{
	"stored", "closing", "busy", "log full", "log error", "malformed", "no key", "key too long", "event too large", "session too old",
}

// String is the code in words.
func (c Code) String() string {
	if int(c) < len(codeNames) {
		return codeNames[c]
	}
	return fmt.Sprintf("code %d", uint32(c))
}

// Answer is a router's reply to a frame.
type Answer struct {
	Code   Code
	Reason string // for people: the fault, the value, and a remedy
	Retry  bool   // sending the same frame again may succeed
	Seq    uint64 // of the frame's first event; 0 if the router could not read the frame
}

// Of tells whether a is about the frame whose first event has that seq. Only a refusal may omit the frame.
func (a Answer) Of(seq uint64) bool { return a.Seq == seq || a.Seq == 0 && a.Code != Stored }

// Error makes an Answer that is not Stored an error.
func (a Answer) Error() string { return "router refused (" + a.Code.String() + "): " + a.Reason }

// Refusal is the Answer to a frame or an event that err says is wrong.
func Refusal(err error) Answer {
	a := Answer{Code: Malformed, Reason: err.Error()}
	switch {
	case errors.Is(err, ErrNoKey):
		a.Code = NoKey
	case errors.Is(err, ErrKeyTooLong):
		a.Code = KeyTooLong
	case errors.Is(err, ErrEventTooLarge):
		a.Code = EventTooLarge
	}
	return a
}

// Append encodes a.
func (a Answer) Append(b []byte) []byte {
	if a.Code != Stored {
		b = protowire.AppendTag(b, 1, protowire.VarintType)
		b = protowire.AppendVarint(b, uint64(a.Code))
	}
	if a.Reason != "" {
		b = protowire.AppendTag(b, 2, protowire.BytesType)
		b = protowire.AppendString(b, a.Reason)
	}
	if a.Retry {
		b = protowire.AppendTag(b, 3, protowire.VarintType)
		b = protowire.AppendVarint(b, 1)
	}
	if a.Seq != 0 {
		b = protowire.AppendTag(b, 4, protowire.VarintType)
		b = protowire.AppendVarint(b, a.Seq)
	}
	return b
}

// DecodeAnswer reads a router's reply. It is strict with the fields it knows: a frame that another program sends back, for
// example, must not pass for an answer.
func DecodeAnswer(b []byte) (Answer, error) {
	var a Answer
	var f field
	for len(b) > 0 {
		rest, err := next(b, &f)
		if err != nil {
			return Answer{}, err
		}
		b = rest
		switch {
		case f.num == 1 && f.typ == protowire.VarintType && f.int <= math.MaxUint32:
			a.Code = Code(f.int)
		case f.num == 2 && f.typ == protowire.BytesType:
			a.Reason = string(f.bytes)
		case f.num == 3 && f.typ == protowire.VarintType:
			a.Retry = f.int != 0
		case f.num == 4 && f.typ == protowire.VarintType:
			a.Seq = f.int
		case f.num <= 4:
			return Answer{}, malformed("not an answer")
		}
	}
	return a, nil
}

// Receipt tells a publisher which of the events that asked for it were applied.
type Receipt struct {
	Generation uint64
	Seqs       []uint64
}

// Append encodes r.
func (r Receipt) Append(b []byte) []byte {
	b = protowire.AppendTag(b, 1, protowire.VarintType)
	b = protowire.AppendVarint(b, r.Generation)
	size := 0
	for _, s := range r.Seqs {
		size += protowire.SizeVarint(s)
	}
	b = protowire.AppendTag(b, 2, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(size))
	for _, s := range r.Seqs {
		b = protowire.AppendVarint(b, s)
	}
	return b
}

// Decode reads a receipt, reusing r's memory.
func (r *Receipt) Decode(b []byte) error {
	*r = Receipt{Seqs: r.Seqs[:0]}
	var f field
	for len(b) > 0 {
		rest, err := next(b, &f)
		if err != nil {
			return err
		}
		b = rest
		switch {
		case f.num == 1 && f.typ == protowire.VarintType:
			r.Generation = f.int
		case f.num == 2 && f.typ == protowire.VarintType:
			r.Seqs = append(r.Seqs, f.int)
		case f.num == 2 && f.typ == protowire.BytesType:
			for p := f.bytes; len(p) > 0; {
				s, n := protowire.ConsumeVarint(p)
				if n < 0 {
					return malformed("seqs end early")
				}
				r.Seqs = append(r.Seqs, s)
				p = p[n:]
			}
		}
	}
	return nil
}

// ParsePublisherID reads a publisher's id from hex.
func ParsePublisherID(s string) (PublisherID, error) {
	var id PublisherID
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(id) {
		return id, fmt.Errorf("publisher id %q is not %d bytes of hex", s, len(id))
	}
	copy(id[:], b)
	return id, nil
}
