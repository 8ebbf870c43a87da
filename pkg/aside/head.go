package aside

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// Status is what happens to a list's first event.
type Status uint64

// The statuses of aside.proto.
const (
	Retrying Status = iota // it is tried again by itself
	Running                // its first attempt had not ended when it was set aside
	Parked                 // it waits for an operator
)

var statusNames = [...]string{"retrying", "running", "parked"}

// String is the status in a word.
func (s Status) String() string { return name(statusNames[:], "status", uint64(s)) }

// Op is what an operator asks for.
type Op uint64

// The operations of aside.proto.
const (
	None  Op = iota
	Retry    // apply the events, in order
	Drop     // pass over them
)

var opNames = [...]string{"none", "retry", "drop"}

// String is the operation in a word.
func (o Op) String() string { return name(opNames[:], "operation", uint64(o)) }

func name(names []string, of string, i uint64) string {
	if i < uint64(len(names)) {
		return names[i]
	}
	return fmt.Sprintf("%s %d", of, i)
}

// Mark is an operator's command that is at work: it is about the events with an index below Until.
type Mark struct {
	Op    Op
	Until uint64
}

// Head describes a list. A list holds at least one event; the store removes the head of an empty list.
type Head struct {
	First, Next uint64 // it holds the events with the indices First to Next-1
	Bytes       uint64 // of the encoded events
	Status      Status
	Attempts    uint64    // of the first event that have ended, since it was set aside or an operator asked for a retry
	Error       string    // of the newest of them, as ErrorText makes it
	Began       time.Time // of the first attempt that failed, or was set aside as running
	Last        time.Time // of the newest attempt's end
	Mark        Mark
	Commands    []Command // that wait until they can be judged, in the log's order; at most MaxCommands
}

// MaxCommands is how many commands may wait at a list.
const MaxCommands = 16

// Command is an operator's command about a list. It is carried out once the list begins with the events that it names: Count
// of them, the first and the last with these ids.
type Command struct {
	Op          Op
	First, Last string
	Count       uint64
}

// Len is how many events the list holds.
func (h *Head) Len() uint64 { return h.Next - h.First }

// Field numbers of Head, and the wire type of each.
const (
	headFirst, headNext, headBytes, headStatus, headAttempts = 1, 2, 3, 4, 5
	headError, headBegan, headLast, headMark, headMarkUntil  = 6, 7, 8, 9, 10
	headCommands                                             = 11
	commandOp, commandFirst, commandLast, commandCount       = 1, 2, 3, 4
)

var commandTypes = []protowire.Type{
	0: -1, commandOp: protowire.VarintType, commandFirst: protowire.BytesType, commandLast: protowire.BytesType, commandCount: protowire.VarintType,
}

var headTypes = []protowire.Type{
	0: -1, headFirst: protowire.VarintType, headNext: protowire.VarintType, headBytes: protowire.VarintType,
	headStatus: protowire.VarintType, headAttempts: protowire.VarintType, headError: protowire.BytesType,
	headBegan: protowire.Fixed64Type, headLast: protowire.Fixed64Type,
	headMark: protowire.VarintType, headMarkUntil: protowire.VarintType, headCommands: protowire.BytesType,
}

// Append encodes h.
func (h *Head) Append(b []byte) []byte {
	b = appendUint(b, headFirst, h.First)
	b = appendUint(b, headNext, h.Next)
	b = appendUint(b, headBytes, h.Bytes)
	b = appendUint(b, headStatus, uint64(h.Status))
	b = appendUint(b, headAttempts, h.Attempts)
	b = appendText(b, headError, cutText(h.Error))
	b = appendTime(b, headBegan, h.Began)
	b = appendTime(b, headLast, h.Last)
	b = appendUint(b, headMark, uint64(h.Mark.Op))
	b = appendUint(b, headMarkUntil, h.Mark.Until)
	for i := range h.Commands {
		b = protowire.AppendBytes(protowire.AppendTag(b, headCommands, protowire.BytesType), h.Commands[i].append(nil))
	}
	return b
}

func (c *Command) append(b []byte) []byte {
	b = appendUint(b, commandOp, uint64(c.Op))
	b = appendText(b, commandFirst, c.First)
	b = appendText(b, commandLast, c.Last)
	return appendUint(b, commandCount, c.Count)
}

func decodeCommand(b []byte) (c Command, err error) {
	err = eachField(b, commandTypes, func(f *field) error {
		switch f.num {
		case commandOp:
			c.Op = Op(f.int)
		case commandFirst:
			c.First = string(f.bytes)
		case commandLast:
			c.Last = string(f.bytes)
		case commandCount:
			c.Count = f.int
		}
		return nil
	})
	if err == nil && c.Op > Drop {
		err = malformed(fmt.Sprintf("command with operation %d", uint64(c.Op)))
	}
	return c, err
}

// DecodeHead reads a head. Its error wraps ErrMalformed, also for a status or an operation that this version does not know.
func DecodeHead(b []byte) (Head, error) {
	var h Head
	err := eachField(b, headTypes, func(f *field) error {
		switch f.num {
		case headFirst:
			h.First = f.int
		case headNext:
			h.Next = f.int
		case headBytes:
			h.Bytes = f.int
		case headStatus:
			h.Status = Status(f.int)
		case headAttempts:
			h.Attempts = f.int
		case headError:
			h.Error = cutText(string(f.bytes))
		case headBegan:
			h.Began = timeOf(f.int)
		case headLast:
			h.Last = timeOf(f.int)
		case headMark:
			h.Mark.Op = Op(f.int)
		case headMarkUntil:
			h.Mark.Until = f.int
		case headCommands:
			c, err := decodeCommand(f.bytes)
			if err != nil {
				return err
			}
			h.Commands = append(h.Commands, c)
		}
		return nil
	})
	switch {
	case err != nil:
		return Head{}, err
	case h.First >= h.Next:
		return Head{}, malformed(fmt.Sprintf("head with events from %d to before %d", h.First, h.Next))
	case h.Status > Parked:
		return Head{}, malformed(fmt.Sprintf("head with status %d", uint64(h.Status)))
	case h.Mark.Op > Drop:
		return Head{}, malformed(fmt.Sprintf("head with operation %d", uint64(h.Mark.Op)))
	}
	return h, nil
}
