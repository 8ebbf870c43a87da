package expect

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"example.com/lockstep/pkg/load"
	"example.com/lockstep/pkg/store"
)

// applied is the state after payloads are applied as the platform does it, written apart from the code under test.
func applied(payloads ...[]byte) State {
	var s State
	for _, p := range payloads {
		s.Found = true
		s.Count++
		s.Chain = xxhash.Sum64(append(binary.BigEndian.AppendUint64(nil, s.Chain), p...))
	}
	return s
}

// send sends one event of a key and returns its payload.
func send(b *Book, key int) []byte {
	ev, chain, err := b.Next(key)
	if err != nil {
		panic(err)
	}
	b.Sent(key, chain)
	return bytes.Clone(ev.Payload)
}

// sendAll sends one event for each outcome and settles it so.
func sendAll(b *Book, key int, outcomes ...Outcome) [][]byte {
	var payloads [][]byte
	for _, o := range outcomes {
		payloads = append(payloads, send(b, key))
		b.Settle(key, o)
	}
	return payloads
}

func newBook(t require.TestingT, n, size int) *Book {
	return newBookOf(t, n, Payload{Size: Bytes(size)})
}

func newBookOf(t require.TestingT, n int, p Payload) *Book {
	return newBookBy(t, asFlagsSay, n, p)
}

func newBookBy(t require.TestingT, generate load.Generate, n int, p Payload) *Book {
	events, err := NewEvents(generate, p, 42)
	require.NoError(t, err)
	keys, err := events.Keys("r1", n)
	require.NoError(t, err)
	b, err := NewBook(keys, events)
	require.NoError(t, err)
	return b
}

func TestPayloadNotSentIsMadeAgain(t *testing.T) {
	b := newBook(t, 1, 64)
	ev, _, err := b.Next(0)
	require.NoError(t, err)
	refused := bytes.Clone(ev.Payload)
	again := send(b, 0)
	require.Equal(t, refused, again)
	require.True(t, bytes.HasPrefix(send(b, 0), []byte("2 ")))
}

func TestEveryFaultIsFoundAndNamed(t *testing.T) {
	const (
		s = Stored
		g = GivenUp
		n = NotStored
	)
	for name, c := range map[string]struct {
		outcomes []Outcome
		applied  []int // by counter
		want     Kind
		events   uint64
	}{
		"as sent":                                   {[]Outcome{s, s, s}, []int{1, 2, 3}, Fine, 0},
		"first dropped":                             {[]Outcome{s, s, s}, []int{2, 3}, Lost, 1},
		"last dropped":                              {[]Outcome{s, s, s}, []int{1, 2}, Lost, 1},
		"all dropped":                               {[]Outcome{s, s, s}, nil, Unproven, 3},
		"one doubled":                               {[]Outcome{s, s, s}, []int{1, 2, 2, 3}, Duplicated, 1},
		"all doubled":                               {[]Outcome{s, s, s}, []int{1, 2, 3, 1, 2, 3}, Duplicated, 3},
		"two swapped":                               {[]Outcome{s, s, s}, []int{1, 3, 2}, Reordered, 0},
		"one dropped, one doubled":                  {[]Outcome{s, s, s}, []int{1, 1, 3}, Reordered, 0},
		"given up, applied":                         {[]Outcome{s, g, s}, []int{1, 2, 3}, Fine, 0},
		"given up, not applied":                     {[]Outcome{s, g, s}, []int{1, 3}, Fine, 0},
		"given up, applied late":                    {[]Outcome{s, g, s}, []int{1, 3, 2}, Unknown, 0},
		"given up, another lost":                    {[]Outcome{s, g, s}, []int{1, 2}, Unknown, 0},
		"given up, another lost too":                {[]Outcome{s, g, s}, []int{1}, Lost, 1},
		"given up, applied twice":                   {[]Outcome{s, g, s}, []int{1, 2, 2, 3}, Duplicated, 1},
		"the second of two given up applied":        {[]Outcome{g, s, g}, []int{2, 3}, Fine, 0},
		"neither of two given up applied":           {[]Outcome{g, s, g}, []int{2}, Fine, 0},
		"not stored":                                {[]Outcome{s, n, s}, []int{1, 3}, Fine, 0},
		"not stored, yet applied":                   {[]Outcome{s, n, s}, []int{1, 2, 3}, Duplicated, 1},
		"not stored, one lost":                      {[]Outcome{s, n, s}, []int{3}, Lost, 1},
		"not stored applied in place of one lost":   {[]Outcome{s, n, s}, []int{1, 2}, Reordered, 0},
		"not stored, swapped":                       {[]Outcome{s, n, s}, []int{3, 1}, Reordered, 0},
		"nothing stored":                            {[]Outcome{n, n}, nil, Fine, 0},
		"nothing stored, yet applied":               {[]Outcome{n, n}, []int{2}, Duplicated, 1},
		"not stored and given up, the given up in":  {[]Outcome{n, g, s}, []int{2, 3}, Fine, 0},
		"not stored and given up, the wrong one in": {[]Outcome{n, g, s}, []int{1, 3}, Unknown, 0},
	} {
		for _, p := range payloadsOfAllKinds(t) {
			t.Run(fmt.Sprint(name, "/", p), func(t *testing.T) {
				b := newBookOf(t, 3, p)
				sendAll(b, 0, s, g, n)
				sent := sendAll(b, 1, c.outcomes...)
				sendAll(b, 2, n, s)
				var in [][]byte
				for _, counter := range c.applied {
					in = append(in, sent[counter-1])
				}
				f := b.Check(1, applied(in...))
				require.Equal(t, c.want, f.Kind, f.Detail)
				require.Equal(t, c.events, f.Events)
				require.Equal(t, c.want == Fine, f.Detail == "")
			})
		}
	}
}

// Of a key whose shard has not reached the log's end, only an account that its first events come to is right so far.
func TestUnfinishedIsToldFromWrong(t *testing.T) {
	const (
		s = Stored
		g = GivenUp
		n = NotStored
	)
	for name, c := range map[string]struct {
		outcomes []Outcome
		applied  []int // by counter
		want     Kind
		events   uint64
	}{
		"all":                              {[]Outcome{s, s, s}, []int{1, 2, 3}, Fine, 0},
		"none yet":                         {[]Outcome{s, s, s}, nil, Unfinished, 3},
		"the first ones":                   {[]Outcome{s, s, s}, []int{1, 2}, Unfinished, 1},
		"not the first":                    {[]Outcome{s, s, s}, []int{2, 3}, Reordered, 0},
		"one in the middle missing":        {[]Outcome{s, s, s}, []int{1, 3}, Reordered, 0},
		"one doubled":                      {[]Outcome{s, s, s, s}, []int{1, 1}, Reordered, 0},
		"one doubled in place of the last": {[]Outcome{s, s, s}, []int{1, 1, 2}, Reordered, 0},
		"more than were sent":              {[]Outcome{s, s}, []int{1, 2, 2}, Duplicated, 1},
		"given up and applied":             {[]Outcome{s, g, s}, []int{1, 2}, Unfinished, 1},
		"given up and not applied":         {[]Outcome{s, g, s, s}, []int{1, 3}, Unfinished, 1},
		"given up, may yet come":           {[]Outcome{s, s, g}, []int{1, 2}, Fine, 0},
		"given up, before it":              {[]Outcome{s, s, g}, []int{1}, Unfinished, 1},
		"given up, one of others missing":  {[]Outcome{s, s, g, s}, []int{1, 3}, Unknown, 0},
		"not stored":                       {[]Outcome{s, n, s, s}, []int{1, 3}, Unfinished, 1},
		"not stored, yet applied":          {[]Outcome{s, n, s, s}, []int{1, 2}, Reordered, 0},
		"nothing stored":                   {[]Outcome{n, n}, nil, Fine, 0},
	} {
		for _, p := range payloadsOfAllKinds(t) {
			t.Run(fmt.Sprint(name, "/", p), func(t *testing.T) {
				b := newBookOf(t, 2, p)
				sendAll(b, 0, s, g, n)
				sent := sendAll(b, 1, c.outcomes...)
				var in [][]byte
				for _, counter := range c.applied {
					in = append(in, sent[counter-1])
				}
				got := applied(in...)
				f := b.CheckUnfinished(1, got)
				require.Equal(t, c.want, f.Kind, f.Detail)
				require.Equal(t, c.events, f.Events)
				if c.want == Unfinished && got.Found {
					got.Chain++
					require.NotEqual(t, Unfinished, b.CheckUnfinished(1, got).Kind, "the chain is wrong")
				}
			})
		}
	}
}

// Every prefix of the events that may be applied is unfinished, and the events behind it are counted, for any outcomes.
func TestEveryPrefixIsUnfinished(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := newBook(t, 1, 40)
		outcomes := rapid.SliceOfN(rapid.SampledFrom([]Outcome{Stored, Stored, Stored, GivenUp, NotStored}), 1, 20).Draw(t, "outcomes")
		sent := sendAll(b, 0, outcomes...)
		upTo := rapid.IntRange(0, len(sent)).Draw(t, "up to")
		var in [][]byte
		left := uint64(0)
		for i, o := range outcomes {
			switch {
			case i >= upTo && o == Stored:
				left++
			case i < upTo && (o == Stored || o == GivenUp && rapid.Bool().Draw(t, "stored")):
				in = append(in, sent[i])
			}
		}
		f := b.CheckUnfinished(0, applied(in...))
		if left == 0 {
			require.Equal(t, Fine, f.Kind, f.Detail)
			return
		}
		require.Equal(t, Finding{Kind: Unfinished, Events: left, Applied: uint64(len(in)), Detail: f.Detail}, f)
	})
}

func TestEventsWithoutOutcomeWereGivenUp(t *testing.T) {
	b := newBook(t, 1, 40)
	sent := append(sendAll(b, 0, Stored), send(b, 0), send(b, 0))
	require.Equal(t, Unproven, b.Check(0, State{}).Kind)
	for _, in := range [][][]byte{sent[:1], sent[:2], sent, {sent[0], sent[2]}} {
		require.Equal(t, Fine, b.Check(0, applied(in...)).Kind)
	}
}

func TestSearchIsBounded(t *testing.T) {
	b := newBook(t, 1, 40)
	var outcomes []Outcome
	for range 200 {
		outcomes = append(outcomes, GivenUp)
	}
	sent := sendAll(b, 0, outcomes...)
	require.Equal(t, Fine, b.Check(0, applied(sent...)).Kind, "all applied is one chain")
	require.Equal(t, Fine, b.Check(0, State{}).Kind, "none applied is one chain")
	f := b.Check(0, applied(sent[:100]...))
	require.Equal(t, Unknown, f.Kind)
	require.Contains(t, f.Detail, "too many outcomes")
	require.Equal(t, Duplicated, b.Check(0, applied(append(sent, sent[0])...)).Kind)
}

// Any choice of at most 12 events given up is told from any fault.
func TestGivenUpEitherWay(t *testing.T) {
	all := payloadsOfAllKinds(t)
	rapid.Check(t, func(t *rapid.T) {
		b := newBookOf(t, 2, rapid.SampledFrom(all).Draw(t, "payload"))
		n := rapid.IntRange(2, 40).Draw(t, "events")
		givenUp := 0
		var in [][]byte
		for range n {
			o := rapid.SampledFrom([]Outcome{Stored, Stored, GivenUp, NotStored}).Draw(t, "outcome")
			if o == GivenUp {
				if givenUp++; givenUp > 12 {
					o = Stored
				}
			}
			p := sendAll(b, 1, o)[0]
			if o == Stored || o == GivenUp && rapid.Bool().Draw(t, "applied") {
				in = append(in, p)
			}
		}
		require.Equal(t, Fine, b.Check(1, applied(in...)).Kind)

		if len(in) == 0 {
			return
		}
		i := rapid.IntRange(0, len(in)-1).Draw(t, "where")
		doubled := append(append(append([][]byte{}, in[:i+1]...), in[i]), in[i+1:]...)
		require.NotEqual(t, Fine, b.Check(1, applied(doubled...)).Kind, "doubled")
		if j := rapid.IntRange(0, len(in)-1).Draw(t, "other"); i != j {
			swapped := append([][]byte{}, in...)
			swapped[i], swapped[j] = swapped[j], swapped[i]
			require.NotEqual(t, Fine, b.Check(1, applied(swapped...)).Kind, "swapped")
		}
		if givenUp == 0 {
			dropped := append(append([][]byte{}, in[:i]...), in[i+1:]...)
			want := Lost
			if len(dropped) == 0 {
				want = Unproven
			}
			require.Equal(t, want, b.Check(1, applied(dropped...)).Kind)
			require.Equal(t, Duplicated, b.Check(1, applied(doubled...)).Kind)
		}
	})
}

// The book computes chains in a way of its own, for speed.
func TestChainIsThePlatforms(t *testing.T) {
	b := newBook(t, 1, 40)
	var p store.Proof
	for range 5 {
		p = p.Apply(sendAll(b, 0, Stored)[0])
	}
	require.Equal(t, Fine, b.Check(0, State{Found: true, Proof: p}).Kind)
}
