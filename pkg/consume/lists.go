package consume

import (
	"errors"
	"time"

	"example.com/lockstep/pkg/aside"
	"example.com/lockstep/pkg/store"
)

// errRunning is why an event was set aside whose attempt had not ended.
var errRunning = errors.New("the attempt still runs")

// list is what the owner knows of the events of one key that are set aside. They lie in the store, and may be very many.
type list struct {
	head   aside.Head // as it is committed
	stored bool       // there is a head in the store
	joined int        // items of the round at hand that join it, and are not committed
	from   int        // the first of these, until the list is stored
	first  trouble    // why that was set aside
	call   *call      // the attempt of its first event, if it was set aside while that ran
}

// restoreList takes a list's head as the store has it.
func (s *shard) restoreList(key string, encoded []byte) error {
	head, err := aside.DecodeHead(encoded)
	if err != nil {
		return err
	}
	s.lists[key] = &list{head: head, stored: true}
	return nil
}

// join sets an item aside, behind all of its key that are. The first of a list is one that failed.
func (s *shard) join(r *round, i int) {
	it := &r.items[i]
	it.outcome = setAside
	l := s.lists[string(it.key)]
	if l == nil {
		l = &list{from: len(r.items)}
		s.lists[string(it.key)] = l
	}
	if !l.stored && i < l.from {
		l.from, l.first = i, r.troubles[i]
		l.call = l.first.call
	}
	l.joined++
}

// joins tells whether an item that is to be applied must join its key's list: it comes behind those that are set aside.
func (s *shard) joins(r *round, i int) bool {
	if len(s.lists) == 0 {
		return false
	}
	l := s.lists[string(r.items[i].key)]
	return l != nil && (l.stored || l.from < i) && r.items[i].outcome <= failed
}

// joining are the lists to which the items before end are added, as a commit writes them. now is the time of the attempts.
func (s *shard) joining(r *round, end int, now time.Time) []store.List {
	if len(s.lists) == 0 {
		return nil
	}
	var out []store.List
	at := make(map[string]int)
	for i := r.next; i < end; i++ {
		it := &r.items[i]
		if it.outcome != setAside {
			continue
		}
		key := string(it.key)
		n, ok := at[key]
		if !ok {
			n = len(out)
			at[key] = n
			out = append(out, store.List{Key: key, At: s.lists[key].head.Next})
		}
		ev := s.asideEvent(r, it)
		out[n].Events = append(out[n].Events, ev.Append(nil))
	}
	for i := range out {
		head := s.lists[out[i].Key].grown(out[i].Events, now)
		out[i].Head = head.Append(nil)
	}
	return out
}

// grown is the list's head with more events.
func (l *list) grown(events [][]byte, now time.Time) aside.Head {
	h := l.head
	if !l.stored {
		h.Began, h.Last = now, now
		switch err := l.first.err; {
		case err == nil: // an earlier attempt of the key still runs
		case l.first.call != nil:
			h.Status = aside.Running
		default:
			h.Attempts, h.Error = 1, aside.ErrorText(err)
			if errors.Is(err, errParked) {
				h.Status = aside.Parked
			}
		}
	}
	h.Next += uint64(len(events))
	for _, e := range events {
		h.Bytes += uint64(len(e))
	}
	return h
}

// joinedLists says that the lists of a commit are stored.
func (s *shard) joinedLists(lists []store.List, now time.Time) {
	for i := range lists {
		l := s.lists[lists[i].Key]
		l.head = l.grown(lists[i].Events, now)
		l.joined -= len(lists[i].Events)
		l.stored, l.first = true, trouble{}
	}
}

// asideEvent is an item as it is kept in a list.
func (s *shard) asideEvent(r *round, it *item) aside.Event {
	p := &r.parts[it.part]
	ev := s.event(r, it, p, string(it.key))
	e := aside.Event{ID: ev.ID(), Type: ev.Type, Data: ev.Data, Headers: ev.Headers(), Time: ev.Time}
	if !p.plain {
		e.Publisher, e.Generation, e.Seq, e.Receipt = p.session.Publisher, p.session.Generation, it.ev.Seq, it.ev.Receipt
	}
	return e
}

// listed is an event of a list as handlers see it.
func (s *shard) listed(key string, e *aside.Event) Event {
	return Event{Key: key, Data: e.Data, Type: e.Type, Time: e.Time, Shard: s.n, Fence: s.fence, id: e.ID, headers: e.Headers}
}
