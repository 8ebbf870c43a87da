package consume

import (
	"encoding/binary"
	"fmt"
	"time"

	"example.com/lockstep/pkg/dedup"
	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/store"
	"github.com/stretchr/testify/require"
)

// reference knows of each item of a log whether it is to be applied, by the words of the design alone.
type reference struct {
	all   *round // the whole log
	first []int  // by message: its first item
	fates []fate // by item
	ids   []string
	data  [][]byte
	// deletes are the events with which the handler deletes its key's state, by id; drops those that it gives up.
	deletes, drops map[string]bool
}

type fate struct{ applied, late, closed bool }

func newReference(t require.TestingT, log []message) *reference {
	type publisher struct {
		generation, floor uint64
		applied           map[uint64]bool
	}
	w := &reference{all: testRound(), deletes: make(map[string]bool), drops: make(map[string]bool)}
	for _, m := range log {
		w.first = append(w.first, len(w.all.items))
		require.NoError(t, w.all.add(m))
	}
	known := make(map[frame.PublisherID]*publisher)
	s := &shard{n: testShard}
	for i := range w.all.items {
		it := &w.all.items[i]
		p := &w.all.parts[it.part]
		ev := s.event(w.all, it, p, string(it.key))
		w.ids, w.data = append(w.ids, ev.ID()), append(w.data, ev.Data)
		k := known[p.session.Publisher]
		switch {
		case p.plain:
			w.fates = append(w.fates, fate{applied: true})
			continue
		case k == nil && p.session.BirthTime().Add(dedup.Retention).Before(w.all.msgs[it.msg].time):
			w.fates = append(w.fates, fate{late: true})
			continue
		case k == nil:
			k = &publisher{applied: make(map[uint64]bool)}
			known[p.session.Publisher] = k
		case p.session.Generation < k.generation:
			w.fates = append(w.fates, fate{closed: true})
			continue
		}
		k.generation, k.floor = p.session.Generation, max(k.floor, p.floor)
		w.fates = append(w.fates, fate{applied: it.ev.Seq >= k.floor && !k.applied[it.ev.Seq]})
		k.applied[it.ev.Seq] = true
	}
	return w
}

// made is a key's state: the events since one deleted the last, and the proof of these.
type made struct {
	ids   ids
	proof store.Proof
}

// state is a key's, when the items before end are applied; false: it has none.
func (w *reference) state(key string, end int) (m made, ok bool) {
	for i := range end {
		switch id := w.ids[i]; {
		case string(w.all.items[i].key) != key || !w.fates[i].applied:
		case w.drops[id]:
			m.proof.Dropped++
			ok = true
		case w.deletes[id]:
			m, ok = made{}, false
		default:
			m, ok = made{append(m.ids, id), m.proof.Apply(w.data[i])}, true
		}
	}
	return m, ok
}

// between are the ids of a key's events that are applied, of the items from from on and before end.
func (w *reference) between(key string, from, end int) (out ids) {
	for i := from; i < end; i++ {
		if string(w.all.items[i].key) == key && w.fates[i].applied {
			out = append(out, w.ids[i])
		}
	}
	return out
}

// find returns the item with an id that is applied.
func (w *reference) find(id string) int {
	for i := range w.ids {
		if w.ids[i] == id && w.fates[i].applied {
			return i
		}
	}
	return -1
}

// record is the deduplication record when it has seen the items before end, each once, and nothing else.
func (w *reference) record(end int) map[string]string {
	var r dedup.Record
	out := make(map[string]string)
	for i := range end {
		it := &w.all.items[i]
		if p := &w.all.parts[it.part]; !p.plain {
			if publisher, verdict := r.Part(p.session, p.floor, w.all.msgs[it.msg].time); verdict == dedup.Open {
				publisher.Admit(it.ev.Seq)
			}
		}
	}
	r.Changes(func(id frame.PublisherID, encoded []byte) { out[id.String()] = meaning(id, encoded) })
	return out
}

// meaning is what an encoded publisher says: generation, birth, floor, last event, and the seqs applied from the floor on.
// There is more than one encoding of the same.
func meaning(id frame.PublisherID, encoded []byte) string {
	var head [4]uint64
	b := encoded[1:]
	for i := range head {
		v, n := binary.Uvarint(b)
		head[i], b = v, b[n:]
	}
	var r dedup.Record
	if err := r.Restore(id, encoded); err != nil {
		return err.Error()
	}
	p, _ := r.Part(frame.Session{Publisher: id, Generation: head[0], Birth: time.Now().UnixMilli()}, 0, epochStart)
	text := fmt.Sprint(head)
	for seq := head[2]; seq < head[2]+1000; seq++ {
		if !p.Admit(seq) {
			text += fmt.Sprint(" ", seq)
		}
	}
	return text
}

// position is the last message that lies behind no item from end on, among those before the message at last.
func (w *reference) position(end, last int) (seq uint64) {
	for n := range last {
		if n+1 < len(w.first) && w.first[n+1] > end || n+1 == len(w.first) && len(w.all.items) > end {
			break
		}
		seq = w.all.msgs[n].seq
	}
	return seq
}
