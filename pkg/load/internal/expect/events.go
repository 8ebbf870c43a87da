package expect

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"strconv"

	"github.com/cespare/xxhash/v2"

	"example.com/lockstep/pkg/load"
)

const (
	chainSize  = 8
	maxCounter = 11 // bytes of the longest counter, and a space
)

// Events makes any event of a run, again and again: what the application generates, its payload after the key's own
// counter in decimal and a space. One goroutine uses it at a time.
type Events struct {
	generate load.Generate
	content  content
	seed     uint64
	random   random    // of the event being made
	draw     load.Draw // of the event being made
	counter  int       // bytes of its counter, with the space
	made     load.Event

	Poison float64 // share of the keys whose second event is to be one that fails, from 0 to 1
}

// NewEvents returns the events of a run. An error says why payloads as asked for cannot be made; a file of them is read now.
func NewEvents(generate load.Generate, p Payload, seed uint64) (*Events, error) {
	if generate == nil {
		return nil, errors.New("nothing generates events: make the program's commands with cli.New")
	}
	c, err := newContent(p)
	if err != nil {
		return nil, err
	}
	e := &Events{generate: generate, content: c, seed: seed}
	e.draw.Rand = rand.New(&e.random)
	e.draw.Content = e.fill
	return e, nil
}

// fill is Draw.Content.
func (e *Events) fill() []byte {
	return e.content.append(e.draw.Buf, &e.random, e.counter)
}

// A link is a chain (8 bytes, big-endian) followed by a payload, in one piece
// so that the next chain is one call: xxhash64(chain || payload).
type link []byte

func (l link) payload() []byte { return l[chainSize:len(l):len(l)] }

// after returns the chain once the link's payload was applied to chain, as the platform computes it.
func (l link) after(chain uint64) uint64 {
	binary.BigEndian.PutUint64(l, chain)
	return xxhash.Sum64(l)
}

// newLink returns a link that has room for any payload whose content is as asked for.
func (e *Events) newLink() link { return make(link, chainSize, chainSize+e.content.longest()) }

// write returns the link with the payload of a key's event in it. The event is in e.made.
func (e *Events) write(l link, key int, counter uint32) link {
	l = append(strconv.AppendUint(l[:chainSize], uint64(counter), 10), ' ')
	e.random = random(e.seed ^ uint64(key)<<32 ^ uint64(counter))
	e.draw.Key, e.draw.Counter, e.draw.Buf = key, uint64(counter), l[len(l):]
	e.draw.Poison = counter == poisoned && e.poisons(key)
	e.counter = len(l.payload())
	e.made = e.generate(&e.draw)
	l = append(l, e.made.Payload...)
	e.made.Payload = l.payload()
	return l
}

// poisoned is the number of the event of a key that is to fail, if any is.
const poisoned = 2

// poisons tells whether a key is one of those that get an event that fails. They are spread evenly: under a share of 0.01 each
// hundredth key is one.
func (e *Events) poisons(key int) bool {
	return math.Floor(float64(key+1)*e.Poison) > math.Floor(float64(key)*e.Poison)
}

// Keys names n keys for a run, as the application calls them.
func (e *Events) Keys(run string, n int) (Keys, error) {
	size := e.content.size
	e.content.size = Bytes(MinSize) // large payloads would take their time, and do not matter
	defer func() { e.content.size = size }()
	l := e.newLink()
	return NewKeys(run, n, func(key int) string {
		l = e.write(l, key, 1)
		return e.made.Key
	})
}

// Of how many keys, and how many events of each, check tries whether they can be made again.
const (
	triedKeys   = 3
	triedEvents = 2
)

// check makes the first events of the first of n keys twice. An error says how the application's function breaks its rules.
func (e *Events) check(n int) error {
	first := make(map[[2]int]load.Event)
	if e.Poison > 0 {
		share := e.Poison
		defer func() { e.Poison = share }()
		e.Poison = 1 // the first keys, too
	}
	for range 2 {
		for key := range min(n, triedKeys) {
			for counter := 1; counter <= triedEvents; counter++ {
				e.write(e.newLink(), key, uint32(counter))
				ev, of := e.made, [2]int{key, counter}
				if e.draw.Poison && !ev.Fails {
					return errNoPoison
				}
				before, again := first[of]
				switch {
				case len(ev.Payload) > MaxSize:
					return tooLarge(len(ev.Payload), counter, strconv.Itoa(key))
				case again && !same(before, ev):
					return fmt.Errorf("generate returned two different events when asked twice for event %d of key %d: it must decide from its Draw alone",
						counter, key)
				case counter > 1 && ev.Key != first[[2]int{key, 1}].Key:
					return fmt.Errorf("generate named key %d %.32q in event 1 and %.32q in event %d: all events of a key need the same name",
						key, first[[2]int{key, 1}].Key, ev.Key, counter)
				}
				first[of] = ev
			}
		}
	}
	return nil
}

// errNoPoison says that generate ignores Draw.Poison.
var errNoPoison = errors.New("generate marks no event as one that fails where its Draw asks for Poison: " +
	"make one as services/producer/generate.go does, or load without --poison")

func tooLarge(n, counter int, key string) error {
	return fmt.Errorf("generate returned too large a payload for event %d of key %s: %d bytes with the counter, at most %d fit into an event",
		counter, key, n, MaxSize)
}

func same(a, b load.Event) bool {
	return a.Key == b.Key && a.Type == b.Type && a.Deletes == b.Deletes && a.Fails == b.Fails &&
		maps.Equal(a.Headers, b.Headers) && bytes.Equal(a.Payload, b.Payload)
}
