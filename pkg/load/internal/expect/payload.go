package expect

import (
	"errors"
	"fmt"
	"strings"
)

// Payload says what the payloads of a run are. The zero value is 128 random bytes.
type Payload struct {
	Content Content
	Size    Size // zero for DefaultSize; a file's lines have their own
}

// Content is what a payload holds after its counter. The zero value is Random.
type Content struct {
	kind contentKind
	path string // of a file
}

type contentKind uint8

const (
	kindRandom contentKind = iota
	kindCompressible
	kindFile
)

// Random is bytes that do not compress.
var Random = Content{}

// Compressible is English words. Hundreds of payloads compressed together, with
// deflate as it comes, take a seventh (those of 128 bytes) to a ninth of their size.
var Compressible = Content{kind: kindCompressible}

// ParseContent reads one of
//
//	random        bytes that do not compress
//	compressible  words that compress to some eighth
//	file:PATH     lines of a file, drawn for each event
func ParseContent(s string) (Content, error) {
	path, file := strings.CutPrefix(s, "file:")
	switch {
	case s == "random":
		return Random, nil
	case s == "compressible":
		return Compressible, nil
	case file && path != "":
		return Content{kindFile, path}, nil
	}
	return Content{}, fmt.Errorf("payload %q is none of random, compressible and file:PATH", s)
}

// UnmarshalText is ParseContent, for flags.
func (c *Content) UnmarshalText(text []byte) (err error) {
	*c, err = ParseContent(string(text))
	return err
}

// String returns what ParseContent reads.
func (c Content) String() string {
	switch c.kind {
	case kindCompressible:
		return "compressible"
	case kindFile:
		return "file:" + c.path
	default:
		return "random"
	}
}

// Check returns an error if no payloads can be made so, as far as that can be
// told without reading the file.
func (p Payload) Check() error {
	switch {
	case p.Content.kind == kindFile && p.Size != Size{}:
		return errors.New("payloads from a file have the sizes of its lines: set no size")
	case p.Content.kind == kindFile:
		return nil
	}
	return p.size().check()
}

// String says what the payloads are, for people.
func (p Payload) String() string {
	if p.Content.kind == kindFile {
		return "lines of " + p.Content.path
	}
	return fmt.Sprintf("%s %s bytes", p.size(), p.Content)
}

func (p Payload) size() Size {
	if p.Size == (Size{}) {
		return Bytes(DefaultSize)
	}
	return p.Size
}
