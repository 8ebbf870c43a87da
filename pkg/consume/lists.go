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
	head   aside.Head   // as it is committed
	stored bool         // there is a head in the store
	joined int          // items of the round at hand that join it, and are not committed
	from   int          // the first of these, until the list is stored
	first  trouble      // why that was set aside
	call   *call        // the attempt under way: at the list, or of its first event, which was set aside while that ran
	began  runningEvent // that event
	stamp  stamp        // with which the attempt under way began
	proof  store.Proof  // of the key's state, while an attempt is under way
	gaveUp bool         // a handler of the key was given up and still runs: there is no other attempt until it has returned
	judged uint64       // the index behind the first event when the first command that waits was judged last
}

// runningEvent is the first event of a list that was set aside while its attempt ran: what the attempt's result will need.
type runningEvent struct {
	bytes uint64
	event aside.Event
}

// work is the attempt at the list that is under way; nil: there is none.
func (l *list) work() *listWork {
	if l.call == nil {
		return nil
	}
	w, _ := l.call.list.(*listWork)
	return w
}

// restoreList takes a list's head as the store has it.
func (s *shard) restoreList(key string, encoded []byte) error {
	head, err := aside.DecodeHead(encoded)
	if err != nil {
		return err
	}
	if before := s.lists[key]; before != nil { // a store may tell of a list twice
		s.asideEvents -= before.head.Len()
		s.countParked(&before.head, -1)
	}
	s.lists[key] = &list{head: head, stored: true}
	s.asideEvents += head.Len()
	s.countParked(&head, 1)
	return nil
}

func (s *shard) countParked(h *aside.Head, by int) {
	if h.Status == aside.Parked {
		s.parked += by
	}
}

// hold gives a key whose handler still runs an empty list: its events join it until that has returned.
func (s *shard) hold(key string) *list {
	l := s.lists[key]
	if l == nil {
		l = &list{from: beforeAll}
		s.lists[key] = l
	}
	return l
}

// beforeAll is an item's index before all.
const beforeAll = -1

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
	s.asideEvents++
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
		if l := s.lists[key]; !l.stored && l.first.call != nil && !ok {
			l.began = runningEvent{uint64(len(out[n].Events[0])), ev}
		}
	}
	for i := range out {
		head := s.lists[out[i].Key].grown(out[i].Events, now, s.rules.attempts)
		out[i].Head = head.Append(nil)
	}
	return out
}

// grown is the list's head with more events.
func (l *list) grown(events [][]byte, now time.Time, attempts uint64) aside.Head {
	h := l.head
	if !l.stored {
		h.Began, h.Last = now, now
		switch err := l.first.err; {
		case err == nil: // an earlier attempt of the key still runs
		case l.first.call != nil:
			h.Status = aside.Running
		default:
			h.Attempts, h.Error = 1, aside.ErrorText(err)
			if errors.Is(err, errParked) || attempts == 1 {
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
		stored := l.stored
		l.head = l.grown(lists[i].Events, now, s.rules.attempts)
		l.joined -= len(lists[i].Events)
		if !stored {
			s.countParked(&l.head, 1)
			if c := l.first.call; c != nil {
				l.proof = c.proof
				l.stamp = stampOf(&l.head, c.proof)
			}
		}
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
func (s *shard) listed(key string, e *aside.Event) Event { return listedEvent(s.n, s.fence, key, e) }

func listedEvent(shard int, fence uint64, key string, e *aside.Event) Event {
	return Event{Key: key, Data: e.Data, Type: e.Type, Time: e.Time, Shard: shard, Fence: fence, id: e.ID, headers: e.Headers}
}
