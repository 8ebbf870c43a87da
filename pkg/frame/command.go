package frame

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// What a command asks for.
const (
	CommandRetry = "retry" // to try the events of a parked key again
	CommandDrop  = "drop"  // to drop them
)

// MaxCommandID is how many bytes an event's id in a command may have.
const MaxCommandID = 128

// ErrBadCommand means that a command cannot be carried out as it is. Errors wrap it and say what to send.
var ErrBadCommand = errors.New("not a command")

// Command is what an operator asks of a parked key: what a message of KindCommand in the log carries, as JSON. It names the
// events that the operator saw, for a replay may have parked others: it is carried out if the key's list begins with them.
type Command struct {
	Op    string `json:"op"` // CommandRetry or CommandDrop
	Key   string `json:"key"`
	First string `json:"first"` // id of the first event in the key's list
	Last  string `json:"last"`  // id of the last event that is meant
	Count uint64 `json:"count"` // events from First to Last, at least 1
}

// Check returns an error that wraps ErrBadCommand, and for its key what CheckKey returns.
func (c Command) Check() error {
	const how = `send {"op":"retry","key":"...","first":"<id>","last":"<id>","count":1}, as 'worker parked show' prints them`
	if c.Op != CommandRetry && c.Op != CommandDrop {
		return fmt.Errorf("%w: op is %q, not %q or %q: %s", ErrBadCommand, c.Op, CommandRetry, CommandDrop, how)
	}
	if err := CheckKey(c.Key); err != nil {
		return fmt.Errorf("%w: %w: %s", ErrBadCommand, err, how)
	}
	for _, id := range [...]struct{ name, value string }{{"first", c.First}, {"last", c.Last}} {
		if id.value == "" {
			return fmt.Errorf("%w: %s is missing: %s", ErrBadCommand, id.name, how)
		}
		if len(id.value) > MaxCommandID {
			return fmt.Errorf("%w: %s has %d bytes: an id has at most %d", ErrBadCommand, id.name, len(id.value), MaxCommandID)
		}
	}
	switch {
	case c.Count == 0:
		return fmt.Errorf("%w: count is 0 or missing: %s", ErrBadCommand, how)
	case (c.Count == 1) != (c.First == c.Last):
		return fmt.Errorf("%w: count is %d, first is %q and last is %q: they do not fit together", ErrBadCommand, c.Count, c.First, c.Last)
	}
	return nil
}

// Append appends the command as the log has it.
func (c Command) Append(b []byte) []byte {
	body, err := json.Marshal(c)
	if err != nil {
		panic(err) // strings and a number
	}
	return append(b, body...)
}

// DecodeCommand reads and checks a command. Its error wraps ErrBadCommand. A field that this version does not know is an error:
// it may restrict what the sender wants done.
func DecodeCommand(b []byte) (c Command, err error) {
	if !utf8.Valid(b) { // JSON's decoder would replace the invalid bytes
		return Command{}, fmt.Errorf("%w: it is not UTF-8", ErrBadCommand)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return Command{}, fmt.Errorf("%w: %w", ErrBadCommand, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Command{}, fmt.Errorf("%w: more follows after it", ErrBadCommand)
	}
	return c, c.Check()
}
