package pick

import (
	"bufio"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"iter"
	"os"
	"slices"
	"unicode/utf8"
)

// Trace is the keys of recorded events, in their order: what a distribution
// file:PATH stands for. Its keys are numbered in the order of their first events.
//
// Memory is 4 bytes an event, and the names of the keys, each once. Its picker
// keeps the events only, so the names go with the trace.
type Trace struct {
	path   string
	names  names
	events []uint32 // the key of each
}

// limits bound what a trace may hold.
type limits struct {
	events int
	name   int // bytes of one
	names  int // bytes of all
}

const (
	maxTraceEvents = 10_000_000
	maxTraceNames  = 1 << 30
)

// Open reads the file of a distribution that is Recorded. Names of keys may have
// up to longest bytes. An error says what is wrong with the file, and where.
func (d Distribution) Open(longest int) (*Trace, error) {
	if !d.Recorded() {
		return nil, fmt.Errorf("distribution %s has no file to open", d)
	}
	f, err := os.Open(d.path)
	if err != nil {
		return nil, fmt.Errorf("distribution %s: %w", d, err)
	}
	defer f.Close()
	t := &Trace{path: d.path}
	if err := t.read(f, limits{events: maxTraceEvents, name: longest, names: maxTraceNames}); err != nil {
		return nil, fmt.Errorf("distribution %s: %w", d, err)
	}
	return t, nil
}

func (t *Trace) read(from io.Reader, most limits) error {
	var events []uint32
	lines := bufio.NewScanner(from)
	for lines.Scan() {
		if len(events) == most.events {
			return fmt.Errorf("the file has more than %d lines: use fewer", most.events)
		}
		line, nth := lines.Bytes(), len(events)+1
		switch {
		case len(line) == 0:
			return fmt.Errorf("line %d is empty: each line must be the key of an event", nth)
		case len(line) > most.name:
			return tooLong(nth, most)
		case !utf8.Valid(line):
			return fmt.Errorf("line %d is not UTF-8, as keys must be: %.32q", nth, line)
		}
		events = append(events, t.names.index(line))
		if len(t.names.text) > most.names {
			return fmt.Errorf("its keys have more than %d bytes together, up to line %d: use fewer lines or shorter keys", most.names, nth)
		}
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return tooLong(len(events)+1, most)
	case err != nil:
		return err
	case len(events) == 0:
		return errors.New("the file is empty: each line must be the key of an event")
	}
	t.events = slices.Clone(events) // without room to grow
	t.names.table = nil
	return nil
}

func tooLong(nth int, most limits) error {
	return fmt.Errorf("line %d is longer than the %d bytes that a key has room for", nth, most.name)
}

// Keys returns how many keys there are.
func (t *Trace) Keys() int { return len(t.names.ends) }

// Events returns how many events there are.
func (t *Trace) Events() int { return len(t.events) }

// Names returns the names of all keys, beginning with key 0. Each is another one.
func (t *Trace) Names() iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := range t.names.ends {
			if !yield(string(t.names.at(uint32(i)))) {
				return
			}
		}
	}
}

// Picker returns a picker of the keys of all events in their order, and after the
// last one from the first again.
func (t *Trace) Picker() Picker { return &recorded{events: t.events} }

// Check returns an error if some other number of keys was asked for.
func (t *Trace) Check(keys int) error {
	if keys != t.Keys() {
		return fmt.Errorf("keys must be left out, as their number, %d, follows from %s, and is not %d", t.Keys(), t.path, keys)
	}
	return nil
}

// recorded picks what a trace says.
type recorded struct {
	events []uint32
	next   int
}

// Bytes returns how much memory the events take.
func (r *recorded) Bytes() int64 { return 4 * int64(len(r.events)) }

func (r *recorded) Next() int {
	key := r.events[r.next]
	if r.next++; r.next == len(r.events) {
		r.next = 0
	}
	return int(key)
}

// names numbers names from 0, each once. They lie in one piece, and the table
// that finds them is one, too, so that millions cost no more than their bytes and
// some 20 each.
type names struct {
	text []byte
	ends []uint32 // of each name in text

	seed  maphash.Seed
	table []uint32 // by hash, then the next free place: 1 + a name's number, or 0
}

// index returns the number of a name, and gives it the next one if it is new.
func (n *names) index(name []byte) uint32 {
	if 2*len(n.ends) >= len(n.table) {
		n.grow()
	}
	at := n.place(name)
	if n.table[at] == 0 {
		n.text = append(n.text, name...)
		n.ends = append(n.ends, uint32(len(n.text)))
		n.table[at] = uint32(len(n.ends))
	}
	return n.table[at] - 1
}

// place returns where in the table a name is, or where it belongs.
func (n *names) place(name []byte) int {
	mask := len(n.table) - 1
	at := int(maphash.Bytes(n.seed, name)) & mask
	for n.table[at] != 0 && string(n.at(n.table[at]-1)) != string(name) {
		at = (at + 1) & mask
	}
	return at
}

func (n *names) grow() {
	if n.table == nil {
		n.seed = maphash.MakeSeed()
	}
	n.table = make([]uint32, max(1024, 2*len(n.table))) // a power of two
	for i := range uint32(len(n.ends)) {
		n.table[n.place(n.at(i))] = i + 1
	}
}

func (n *names) at(i uint32) []byte {
	if i == 0 {
		return n.text[:n.ends[0]]
	}
	return n.text[n.ends[i-1]:n.ends[i]]
}
