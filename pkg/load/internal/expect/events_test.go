package expect

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/lockstep/pkg/load"
)

// Loads that were made with the same seed by older releases can be made again.
func TestPayloadsOfASeedStay(t *testing.T) {
	want := []uint64{0x9478a12231c8ce93, 0x82d99f8edd2e27f5, 0xbc773d0774303037, 0x356934c56100e242, 0x2061eea2ec877335, 0xb24d0ed47abf8711}
	for i, p := range payloadsOfAllKinds(t) {
		b := newBookOf(t, 10, p)
		for range 1000 {
			send(b, 7)
		}
		require.Equal(t, want[i], b.chain[7], p)
	}
}

// deposits generates events of an application with a shape of its own.
func deposits(d *load.Draw) load.Event {
	return load.Event{
		Key:     []string{"account", "till"}[d.Key%2],
		Type:    "deposited",
		Headers: map[string]string{"Region": "eu"},
		Payload: fmt.Appendf(d.Buf, `{"amount":%d}`, d.Rand.IntN(100)),
	}
}

func TestEventsOfAnApplication(t *testing.T) {
	b := newBookBy(t, deposits, 3, Payload{})
	require.Equal(t, []string{"load-r1-account-0", "load-r1-till-1", "load-r1-account-2"}, []string{b.Name(0), b.Name(1), b.Name(2)})
	var sent [][]byte
	for counter := 1; counter <= 5; counter++ {
		ev, _, err := b.Next(1)
		require.NoError(t, err)
		require.Regexp(t, fmt.Sprintf(`^%d \{"amount":\d\d?\}$`, counter), string(ev.Payload))
		require.Equal(t, "deposited", ev.Type)
		require.Equal(t, map[string]string{"Region": "eu"}, ev.Headers)
		sent = append(sent, send(b, 1))
		b.Settle(1, GivenUp)
	}
	require.Equal(t, Fine, b.Check(1, applied(sent...)).Kind)
	require.Equal(t, Fine, b.Check(1, applied(sent[0], sent[2])).Kind, "events given up are made again, and their chain is found")
}

// A payload counts as it is returned, wherever it lies and however long it is.
func TestPayloadsMayLieAnywhere(t *testing.T) {
	own := []byte("the same for all")
	for name, generate := range map[string]load.Generate{
		"of its own":          func(*load.Draw) load.Event { return load.Event{Payload: own} },
		"longer than asked":   func(d *load.Draw) load.Event { return load.Event{Payload: append(d.Content(), make([]byte, 5000)...)} },
		"a part of the draw":  func(d *load.Draw) load.Event { return load.Event{Payload: d.Content()[3:]} },
		"nothing":             func(*load.Draw) load.Event { return load.Event{} },
		"as large as can fit": func(*load.Draw) load.Event { return load.Event{Payload: make([]byte, MaxSize-2)} },
	} {
		b := newBookBy(t, generate, 1, Payload{})
		var sent [][]byte
		for range 3 {
			sent = append(sent, send(b, 0))
			b.Settle(0, Stored)
		}
		require.Equal(t, Fine, b.Check(0, applied(sent...)).Kind, name)
		require.Equal(t, Reordered, b.Check(0, applied(sent[1], sent[0], sent[2])).Kind, name)
	}
	require.Equal(t, "the same for all", string(own))
}

func TestGeneratorsThatBreakTheRulesAreRefused(t *testing.T) {
	calls := 0
	for says, generate := range map[string]load.Generate{
		"two different events when asked twice for event 1 of key 0: it must decide from its Draw alone": func(*load.Draw) load.Event {
			return load.Event{Payload: fmt.Append(nil, rand.Uint64())}
		},
		"when asked twice for event 1 of key 0": func(*load.Draw) load.Event {
			calls++
			return load.Event{Type: fmt.Sprint(calls)}
		},
		"when asked twice for event 2 of key 1": func(d *load.Draw) load.Event {
			if d.Key == 1 && d.Counter == 2 {
				return load.Event{Headers: map[string]string{"N": fmt.Sprint(rand.Uint64())}}
			}
			return load.Event{}
		},
		`generate named key 1 "a" in event 1 and "" in event 2: all events of a key need the same name`: func(d *load.Draw) load.Event {
			if d.Key == 1 && d.Counter == 1 {
				return load.Event{Key: "a"}
			}
			return load.Event{}
		},
		"too large a payload for event 1 of key 0: 523265 bytes with the counter, at most 523264 fit into an event": func(*load.Draw) load.Event {
			return load.Event{Payload: make([]byte, MaxSize-1)}
		},
		`generate named key 2 "\xff": key is not UTF-8`: func(d *load.Draw) load.Event {
			return load.Event{Key: map[bool]string{true: "\xff"}[d.Key == 2]}
		},
		`generate named key 0 "` + strings.Repeat("k", 32) + `": key is too long`: func(*load.Draw) load.Event {
			return load.Event{Key: strings.Repeat("k", 512)}
		},
	} {
		events, err := NewEvents(generate, Payload{}, 1)
		require.NoError(t, err)
		keys, err := events.Keys("r", 10)
		if err == nil {
			_, err = NewBook(keys, events)
		}
		require.ErrorContains(t, err, says)
	}
}

func TestNoGenerator(t *testing.T) {
	_, err := NewEvents(nil, Payload{}, 1)
	require.EqualError(t, err, "nothing generates events: make the program's commands with cli.New")
}

// A payload that is too large is refused at any event.
func TestLargePayloadIsRefusedLater(t *testing.T) {
	b := newBookBy(t, func(d *load.Draw) load.Event { return load.Event{Payload: make([]byte, d.Counter/7*MaxSize)} }, 1, Payload{})
	for range 6 {
		send(b, 0)
	}
	_, _, err := b.Next(0)
	require.EqualError(t, err, "generate returned too large a payload for event 7 of key load-r1-0: 523266 bytes with the counter, at most 523264 fit into an event")
}

// A generator that is found not to repeat itself only when it matters proves nothing.
func TestEventsThatCannotBeMadeAgainProveNothing(t *testing.T) {
	calls := uint64(0)
	fickle := func(d *load.Draw) load.Event {
		calls++
		if d.Counter == 4 {
			return load.Event{Payload: fmt.Append(nil, calls)}
		}
		return load.Event{}
	}
	b := newBookBy(t, fickle, 1, Payload{})
	sent := sendAll(b, 0, Stored, Stored, Stored, Stored, GivenUp)
	got := b.Check(0, applied(sent...))
	require.Equal(t, Unknown, got.Kind)
	require.Contains(t, got.Detail, "must decide from its Draw alone")
	got = b.CheckUnfinished(0, applied(sent[:4]...))
	require.Equal(t, Unknown, got.Kind)

	settled := newBookBy(t, fickle, 1, Payload{})
	sent = sendAll(settled, 0, Stored, Stored, Stored, Stored, Stored)
	require.Equal(t, Fine, settled.Check(0, applied(sent...)).Kind, "the chain is taken from what was sent")
	require.Equal(t, Reordered, settled.Check(0, applied(sent[0], sent[2], sent[1], sent[3], sent[4])).Kind)
	got = settled.CheckUnfinished(0, applied(sent[:4]...))
	require.Equal(t, Unknown, got.Kind)
	require.Contains(t, got.Detail, "must decide from its Draw alone")
}

// --poison asks for an event that fails in that share of the keys, spread evenly, and for the second event of each.
func TestPoison(t *testing.T) {
	generate := func(d *load.Draw) load.Event { return load.Event{Payload: d.Content(), Fails: d.Poison} }
	for share, want := range map[float64]int{0: 0, 0.01: 10, 0.5: 500, 1: 1000} {
		events, err := NewEvents(generate, Payload{}, 1)
		require.NoError(t, err)
		events.Poison = share
		keys, err := events.Keys("r", 1000)
		require.NoError(t, err)
		_, err = NewBook(keys, events)
		require.NoError(t, err)
		fails := 0
		for key := range 1000 {
			for counter := 1; counter <= 3; counter++ {
				if events.write(events.newLink(), key, uint32(counter)); events.made.Fails {
					require.Equal(t, 2, counter)
					fails++
				}
			}
		}
		require.Equal(t, want, fails, "share %v", share)
	}

	events, err := NewEvents(asFlagsSay, Payload{}, 1)
	require.NoError(t, err)
	events.Poison = 0.001
	keys, err := events.Keys("r", 10)
	require.NoError(t, err)
	_, err = NewBook(keys, events)
	require.ErrorIs(t, err, errNoPoison)
}
