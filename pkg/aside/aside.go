// Package aside is the list of a key's events that wait after one of them failed, as it is stored: a head, and the events in
// the log's order, as aside.proto defines them. Every event has an index, which grows by one from event to event and never
// changes while the list exists.
package aside

// The generated code serves tests. It names no Go import path, whose length would stand in its descriptor: a fork renames
// the module. Generating needs protoc (Debian's protobuf-compiler); building and testing do not.
//
//go:generate sh -c "protoc --plugin=$(go tool -n protoc-gen-go) --go_out=asidepb --go_opt=paths=source_relative --go_opt=Maside.proto=./asidepb aside.proto"

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// ErrMalformed means that bytes of the store are no head, or no event of a list. Errors of this package wrap it.
var ErrMalformed = errors.New("malformed list of events set aside")

// MaxErrorBytes bounds the text that a head keeps of an error.
const MaxErrorBytes = 1 << 10

// ErrorText is an error's text as a head keeps it: valid UTF-8, and its beginning if it is too long.
func ErrorText(err error) string { return cutText(err.Error()) }

func cutText(s string) string {
	if len(s) <= MaxErrorBytes && utf8.ValidString(s) {
		return s
	}
	s = strings.ToValidUTF8(s[:min(len(s), 4*MaxErrorBytes)], "\uFFFD")
	if len(s) <= MaxErrorBytes {
		return s
	}
	end := MaxErrorBytes
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end]
}

// field is one field of a message: its number, and its value.
type field struct {
	num   protowire.Number
	typ   protowire.Type
	int   uint64
	bytes []byte
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
	case protowire.Fixed64Type:
		f.int, m = protowire.ConsumeFixed64(b[n:])
	case protowire.BytesType:
		f.bytes, m = protowire.ConsumeBytes(b[n:])
	default:
		m = protowire.ConsumeFieldValue(num, typ, b[n:])
	}
	if m < 0 {
		return nil, malformed("field ends early")
	}
	f.num, f.typ = num, typ
	return b[n+m:], nil
}

// eachField calls take with each field of a message that types names, and passes over the others.
func eachField(b []byte, types []protowire.Type, take func(*field) error) error {
	var f field
	for len(b) > 0 {
		rest, err := next(b, &f)
		if err != nil {
			return err
		}
		b = rest
		if int(f.num) >= len(types) {
			continue
		}
		if f.typ != types[f.num] {
			return malformed(fmt.Sprintf("field %d has wire type %d", f.num, f.typ))
		}
		if err := take(&f); err != nil {
			return err
		}
	}
	return nil
}

func malformed(reason string) error { return fmt.Errorf("%w: %s", ErrMalformed, reason) }

func appendUint(b []byte, num protowire.Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, num, protowire.VarintType), v)
}

func appendText[T ~string | ~[]byte](b []byte, num protowire.Number, v T) []byte {
	if len(v) == 0 {
		return b
	}
	b = protowire.AppendVarint(protowire.AppendTag(b, num, protowire.BytesType), uint64(len(v)))
	return append(b, v...)
}

func appendTime(b []byte, num protowire.Number, t time.Time) []byte {
	if t.IsZero() {
		return b
	}
	return protowire.AppendFixed64(protowire.AppendTag(b, num, protowire.Fixed64Type), uint64(t.UnixNano()))
}

func timeOf(nanos uint64) time.Time {
	if nanos == 0 {
		return time.Time{}
	}
	return time.Unix(0, int64(nanos))
}
