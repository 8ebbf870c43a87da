package expect

import (
	"bytes"
	"fmt"
	"io"
	"os"
)

// Limits of a file of payloads.
const (
	maxFileBytes = 64 << 20
	maxFileLines = 10_000_000
	maxLine      = MaxSize - maxCounter
)

// lines is the lines of a file. Like the names of keys they lie in one piece.
type lines struct {
	text    []byte
	starts  []uint32
	longest int
}

// readLines reads a file's lines, each without its line break. The last one
// needs none.
func readLines(path string) (*lines, error) {
	text, err := readBounded(path)
	if err != nil {
		return nil, fmt.Errorf("payload file: %w", err)
	}
	l := &lines{text: text[:0], starts: []uint32{0}}
	for rest := text; len(rest) > 0; {
		var line []byte
		line, rest, _ = bytes.Cut(rest, []byte("\n"))
		line = bytes.TrimSuffix(line, []byte("\r"))
		nth := len(l.starts)
		switch {
		case len(line) > maxLine:
			return nil, fmt.Errorf("payload file %s: line %d has %d bytes, at most %d fit into an event", path, nth, len(line), maxLine)
		case nth > maxFileLines:
			return nil, fmt.Errorf("payload file %s has more than %d lines: use fewer", path, maxFileLines)
		}
		l.text = append(l.text, line...) // never overtakes rest
		l.starts = append(l.starts, uint32(len(l.text)))
		l.longest = max(l.longest, len(line))
	}
	if l.len() == 0 {
		return nil, fmt.Errorf("payload file %s is empty: it needs a line or more", path)
	}
	return l, nil
}

func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err == nil && len(text) > maxFileBytes {
		err = fmt.Errorf("%s is larger than %d MiB: use a smaller one", path, maxFileBytes>>20)
	}
	return text, err
}

func (l *lines) len() int { return len(l.starts) - 1 }

func (l *lines) at(i int) []byte { return l.text[l.starts[i]:l.starts[i+1]] }
