// Package frame is the wire format: frames, batches, answers and receipts, as frame.proto defines them. It is read
// and written with protowire, so that payloads are never copied while they are routed. Decoded values point into the
// bytes they were read from.
package frame

// The generated code serves tests. It names no Go import path, whose length would stand in its descriptor: a fork renames
// the module. Generating needs protoc (Debian's protobuf-compiler); building and testing do not.
//
//go:generate sh -c "protoc --plugin=$(go tool -n protoc-gen-go) --go_out=framepb --go_opt=paths=source_relative --go_opt=Mframe.proto=./framepb frame.proto"

import (
	"encoding/hex"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// Limits of the wire format.
const (
	MaxKeyBytes   = 512       // a key has 1 to 512 bytes
	MaxEventBytes = 512 << 10 // an encoded event
	MaxFrameBytes = 256 << 10 // a frame of more than one event
	MaxSpan       = 65536     // how far a seq may lie above its frame's floor
)

// Headers of a message in the log that is not a batch, and of a plain event as clients send it.
const (
	HeaderKind  = "Kind"           // "event", "command" or "end"; a batch has none
	HeaderPlace = "Lockstep-Place" // the Place it was written for
	HeaderKey   = "Key"            // the event's key
	HeaderType  = "Type"           // the event's type

	KindEvent   = "event"
	KindCommand = "command" // its body is a Command
)

// The faults of a frame or an event. Errors of this package wrap one of them and add the value.
var (
	ErrMalformed     = errors.New("malformed frame")
	ErrNoKey         = errors.New("event has no key")
	ErrKeyTooLong    = errors.New("key is too long")
	ErrKeyNotUTF8    = errors.New("key is not UTF-8")
	ErrEventTooLarge = errors.New("event is too large")
)

// PublisherID names one publishing process: 16 random bytes.
type PublisherID [16]byte

// String is the id in hex, as it stands in subjects and in the store.
func (id PublisherID) String() string { return hex.EncodeToString(id[:]) }

// Session identifies the sender. A newer generation of a publisher closes the older ones.
type Session struct {
	Publisher  PublisherID
	Generation uint64 // from 1
	Birth      int64  // Unix milliseconds
}

// BirthTime is when this generation of the publisher began.
func (s Session) BirthTime() time.Time { return time.UnixMilli(s.Birth) }

// CheckKey returns an error that wraps ErrNoKey, ErrKeyTooLong or ErrKeyNotUTF8, or nil.
func CheckKey[K ~string | ~[]byte](key K) error {
	switch {
	case len(key) == 0:
		return ErrNoKey
	case len(key) > MaxKeyBytes:
		return fmt.Errorf("%w: %d bytes, at most %d are allowed", ErrKeyTooLong, len(key), MaxKeyBytes)
	case !utf8.ValidString(string(key)):
		return fmt.Errorf("%w: %q", ErrKeyNotUTF8, string(key[:min(len(key), 32)]))
	}
	return nil
}

// CheckEventSize returns an error that wraps ErrEventTooLarge if an encoded event of n bytes is too large.
func CheckEventSize(n int) error {
	if n > MaxEventBytes {
		return fmt.Errorf("%w: %d bytes encoded, at most %d are allowed", ErrEventTooLarge, n, MaxEventBytes)
	}
	return nil
}

func malformed(what string) error { return fmt.Errorf("%w: %s", ErrMalformed, what) }

// field is one field of a message: its number, its value where it is a varint or length-delimited, and its whole encoding.
type field struct {
	num   protowire.Number
	typ   protowire.Type
	int   uint64
	bytes []byte
	raw   []byte
}

// next splits the first field off b.
func next(b []byte, f *field) ([]byte, error) {
	num, typ, n := protowire.ConsumeTag(b)
	if n < 0 {
		return nil, malformed("bad field tag")
	}
	m := 0
	switch typ {
	case protowire.VarintType:
		f.int, m = protowire.ConsumeVarint(b[n:])
	case protowire.BytesType:
		f.bytes, m = protowire.ConsumeBytes(b[n:])
	default:
		m = protowire.ConsumeFieldValue(num, typ, b[n:])
	}
	if m < 0 {
		return nil, malformed("field ends early")
	}
	f.num, f.typ, f.raw = num, typ, b[:n+m]
	return b[n+m:], nil
}

// is tells whether f is field num; a known field of another wire type is an error of the sender.
func (f *field) is(num protowire.Number, typ protowire.Type) (bool, error) {
	if f.num != num {
		return false, nil
	}
	if f.typ != typ {
		return false, malformed(fmt.Sprintf("field %d has wire type %d", num, f.typ))
	}
	return true, nil
}
