package consume

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"example.com/lockstep/pkg/frame"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// sent is a part of a frame as a test writes it.
type sent struct {
	publisher  byte
	generation uint64
	floor      uint64
	birth      time.Time
	events     []sentEvent
}

type sentEvent struct {
	seq     uint64
	key     string
	data    string
	receipt bool
}

func (s sent) session() frame.Session {
	return frame.Session{Publisher: frame.PublisherID{s.publisher}, Generation: s.generation, Birth: s.birth.UnixMilli()}
}

// batch encodes parts as a router does, for testShard.
func batch(parts ...sent) []byte { return batchFor(testShard, parts...) }

func batchFor(shard int, parts ...sent) []byte {
	out := frame.AppendMark(nil, frame.Place{Epoch: 1, Shard: shard})
	for _, p := range parts {
		if p.birth.IsZero() {
			p.birth = time.Now()
		}
		var events []byte
		for _, e := range p.events {
			d, err := frame.NewDraft(e.key, []byte(e.data), "kind", map[string]string{"from": "test"}, e.receipt)
			if err != nil {
				panic(err)
			}
			events = frame.AppendEvent(events, d, e.seq)
		}
		out = append(frame.AppendPart(out, frame.AppendHeader(nil, p.session(), p.floor), len(events)), events...)
	}
	return out
}

func batchAt(seq uint64, parts ...sent) message {
	return message{seq: seq, time: epochStart.Add(time.Duration(seq) * time.Second), data: batch(parts...)}
}

func plainAt(seq uint64, key, data string) message {
	return message{
		seq: seq, time: epochStart.Add(time.Duration(seq) * time.Second), data: []byte(data),
		header: plainHeader(testShard, key),
	}
}

// plainHeader is what a router gives a plain event.
func plainHeader(shard int, key string) nats.Header {
	return nats.Header{frame.HeaderKind: {frame.KindEvent}, frame.HeaderPlace: {frame.Place{Epoch: 1, Shard: shard}.String()}, frame.HeaderKey: {key}}
}

// testRound is of testShard and takes the keys of every shard.
func testRound() *round { return &round{at: frame.Place{Epoch: 1, Shard: testShard}, owns: anyKey} }

func roundOf(t require.TestingT, msgs ...message) *round {
	r := testRound()
	for _, m := range msgs {
		require.NoError(t, r.add(m))
	}
	return r
}

// one is a frame of one event of publisher 1.
func one(seq uint64, key string) sent {
	return sent{publisher: 1, generation: 1, floor: 1, events: []sentEvent{{seq: seq, key: key, receipt: true}}}
}

// drawLog draws a shard's log: batches of frames of several sessions, copies of earlier frames, and plain events. Its
// messages lie apart, as they do in a stream that other shards share.
func drawLog(t *rapid.T) []message {
	key := rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f", "g"})
	var log []message
	var past []sent
	floors := make(map[byte]uint64)
	seq := uint64(0)
	for range rapid.IntRange(1, 30).Draw(t, "messages") {
		seq += rapid.Uint64Range(1, 3).Draw(t, "gap")
		if rapid.IntRange(0, 5).Draw(t, "plain") == 0 {
			log = append(log, plainAt(seq, key.Draw(t, "key"), "plain"))
			continue
		}
		var parts []sent
		for range rapid.IntRange(1, 3).Draw(t, "parts") {
			if len(past) > 0 && rapid.IntRange(0, 3).Draw(t, "copy") == 0 {
				parts = append(parts, rapid.SampledFrom(past).Draw(t, "of"))
				continue
			}
			p := sent{publisher: rapid.ByteRange(1, 3).Draw(t, "publisher"), generation: rapid.Uint64Range(1, 2).Draw(t, "generation")}
			floors[p.publisher] += rapid.Uint64Range(0, 4).Draw(t, "floor")
			p.floor = floors[p.publisher] + 1
			seqs := rapid.SliceOfNDistinct(rapid.Uint64Range(p.floor, p.floor+80), 1, 6, rapid.ID[uint64]).Draw(t, "seqs")
			slices.Sort(seqs)
			for _, s := range seqs {
				p.events = append(p.events, sentEvent{seq: s, key: key.Draw(t, "key"), data: fmt.Sprint(s), receipt: rapid.Bool().Draw(t, "receipt")})
			}
			parts, past = append(parts, p), append(past, p)
		}
		log = append(log, batchAt(seq, parts...))
	}
	return log
}

// sequential applies a log as the design words it: each seq once, in the log's order; nothing of an older generation, and
// nothing below the floor. It returns the ids applied to each key.
func sequential(t require.TestingT, log []message) map[string][]string {
	type publisher struct {
		generation, floor uint64
		applied           map[uint64]bool
	}
	known, out := make(map[frame.PublisherID]*publisher), make(map[string][]string)
	for _, m := range log {
		if m.header != nil {
			key := m.header.Get(frame.HeaderKey)
			out[key] = append(out[key], fmt.Sprintf("1-%d-%d", testShard, m.seq))
			continue
		}
		var scratch frame.Frame
		require.NoError(t, frame.Parts(m.data, &scratch, func(f *frame.Frame) error {
			p := known[f.Session.Publisher]
			if p == nil {
				p = &publisher{applied: make(map[uint64]bool)}
				known[f.Session.Publisher] = p
			}
			if f.Session.Generation < p.generation {
				return nil
			}
			p.generation, p.floor = f.Session.Generation, max(p.floor, f.Floor)
			for _, e := range f.Events {
				if e.Seq >= p.floor && !p.applied[e.Seq] {
					p.applied[e.Seq] = true
					out[string(e.Key)] = append(out[string(e.Key)], fmt.Sprintf("%s-%d", f.Session.Publisher, e.Seq))
				}
			}
			return nil
		}))
	}
	return out
}

func TestSequentialIsStrict(t *testing.T) {
	log := []message{
		batchAt(1, sent{publisher: 1, generation: 1, floor: 1, events: []sentEvent{{seq: 1, key: "a"}, {seq: 2, key: "b"}}}),
		batchAt(2, sent{publisher: 1, generation: 1, floor: 1, events: []sentEvent{{seq: 2, key: "b"}, {seq: 9, key: "a"}}}),
		batchAt(3, sent{publisher: 1, generation: 2, floor: 5, events: []sentEvent{{seq: 7, key: "b"}}}),
		batchAt(4, sent{publisher: 1, generation: 1, floor: 1, events: []sentEvent{{seq: 8, key: "b"}}}),
		batchAt(5, sent{publisher: 1, generation: 2, floor: 1, events: []sentEvent{{seq: 4, key: "b"}}}),
	}
	id := frame.PublisherID{1}.String()
	require.Equal(t, map[string][]string{"a": {id + "-1", id + "-9"}, "b": {id + "-2", id + "-7"}}, sequential(t, log))
}
