package frame

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// Field numbers of Frame, Session and Batch.
const (
	frameSession, frameFloor, frameEvents             = 1, 2, 3
	sessionPublisher, sessionGeneration, sessionBirth = 1, 2, 3
	batchParts                                        = 1
)

// Frame is a decoded frame, or the part of one that lies in a batch. Decoding into the same value again reuses its memory.
type Frame struct {
	Session Session
	Floor   uint64
	Events  []Event
	Header  []byte // session and floor as a part of a batch carries them
}

// AppendHeader begins a frame: its session and floor.
func AppendHeader(b []byte, s Session, floor uint64) []byte {
	size := protowire.SizeTag(1) + protowire.SizeBytes(len(s.Publisher)) +
		1 + protowire.SizeVarint(s.Generation) + 1 + protowire.SizeVarint(uint64(s.Birth))
	b = protowire.AppendTag(b, frameSession, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(size))
	b = protowire.AppendTag(b, sessionPublisher, protowire.BytesType)
	b = protowire.AppendBytes(b, s.Publisher[:])
	b = protowire.AppendTag(b, sessionGeneration, protowire.VarintType)
	b = protowire.AppendVarint(b, s.Generation)
	b = protowire.AppendTag(b, sessionBirth, protowire.VarintType)
	b = protowire.AppendVarint(b, uint64(s.Birth))
	b = protowire.AppendTag(b, frameFloor, protowire.VarintType)
	return protowire.AppendVarint(b, floor)
}

// Decode reads a frame and checks all of it, so that a worker that reads its events from the log finds no fault in them.
// Its errors wrap one of this package's.
func (fr *Frame) Decode(b []byte) error {
	fr.Session, fr.Floor, fr.Events = Session{}, 0, fr.Events[:0]
	size := len(b)
	var f field
	for len(b) > 0 {
		rest, err := next(b, &f)
		if err != nil {
			return err
		}
		b = rest
		if is, err := f.is(frameEvents, protowire.BytesType); err != nil {
			return err
		} else if is {
			fr.Events = slices.Grow(fr.Events, 1)[:len(fr.Events)+1]
			e := &fr.Events[len(fr.Events)-1]
			if err := decodeEvent(f.bytes, e); err != nil {
				return fmt.Errorf("event %d: %w", len(fr.Events), err)
			}
			e.Raw = f.raw
			continue
		}
		if is, err := f.is(frameSession, protowire.BytesType); err != nil {
			return err
		} else if is {
			if err := fr.Session.decode(f.bytes); err != nil {
				return err
			}
			continue
		}
		if is, err := f.is(frameFloor, protowire.VarintType); err != nil {
			return err
		} else if is {
			fr.Floor = f.int
		}
	}
	if len(fr.Events) > 1 && size > MaxFrameBytes {
		return malformed(fmt.Sprintf("%d bytes, at most %d are allowed unless it is one event", size, MaxFrameBytes))
	}
	if err := fr.check(); err != nil {
		return err
	}
	fr.Header = AppendHeader(fr.Header[:0], fr.Session, fr.Floor)
	return nil
}

// check holds a frame against the rules that deduplication relies on.
func (fr *Frame) check() error {
	switch {
	case fr.Session.Generation == 0:
		return malformed("no session")
	case fr.Floor == 0:
		return malformed("no floor")
	case len(fr.Events) == 0:
		return malformed("no events")
	}
	last := uint64(0)
	for i := range fr.Events {
		seq := fr.Events[i].Seq
		switch {
		case seq <= last:
			return malformed(fmt.Sprintf("seq %d follows seq %d", seq, last))
		case seq < fr.Floor:
			return malformed(fmt.Sprintf("seq %d lies below the floor %d", seq, fr.Floor))
		case seq-fr.Floor > MaxSpan:
			return malformed(fmt.Sprintf("seq %d lies more than %d above the floor %d", seq, MaxSpan, fr.Floor))
		}
		last = seq
	}
	return nil
}

func (s *Session) decode(b []byte) error {
	var f field
	for len(b) > 0 {
		rest, err := next(b, &f)
		if err != nil {
			return err
		}
		b = rest
		want := protowire.VarintType
		if f.num == sessionPublisher {
			want = protowire.BytesType
		}
		if f.num <= sessionBirth && f.typ != want {
			return malformed(fmt.Sprintf("field %d of a session has wire type %d", f.num, f.typ))
		}
		switch f.num {
		case sessionPublisher:
			if len(f.bytes) != len(s.Publisher) {
				return malformed(fmt.Sprintf("publisher id has %d bytes, not %d", len(f.bytes), len(s.Publisher)))
			}
			copy(s.Publisher[:], f.bytes)
		case sessionGeneration:
			s.Generation = f.int
		case sessionBirth:
			s.Birth = int64(f.int)
		}
	}
	if s.Publisher == (PublisherID{}) {
		return malformed("no publisher id")
	}
	return nil
}

// PartSize is how many bytes a part with this header and these bytes of events adds to a batch.
func PartSize(header []byte, eventBytes int) int {
	return protowire.SizeTag(batchParts) + protowire.SizeBytes(len(header)+eventBytes)
}

// AppendPart begins a part of a batch. The caller then appends the Raw of each of its events, eventBytes in all.
func AppendPart(b, header []byte, eventBytes int) []byte {
	b = protowire.AppendTag(b, batchParts, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(len(header)+eventBytes))
	return append(b, header...)
}

// Parts calls fn with each part of a batch, in order, and stops at the first error. The part is valid during the call;
// the events' data lies in the batch and stays.
func Parts(batch []byte, part *Frame, fn func(*Frame) error) error {
	var f field
	for b := batch; len(b) > 0; {
		rest, err := next(b, &f)
		if err != nil {
			return err
		}
		b = rest
		if is, err := f.is(batchParts, protowire.BytesType); err != nil {
			return err
		} else if !is {
			continue
		}
		if err := part.Decode(f.bytes); err != nil {
			return err
		}
		if err := fn(part); err != nil {
			return err
		}
	}
	return nil
}
