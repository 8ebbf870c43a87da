package query

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"example.com/lockstep/pkg/aside"
	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/ring"
	"example.com/lockstep/pkg/store"
)

// maxListReads is how often a list is read again that changes while it is read.
const maxListReads = 5

var errListChanges = errors.New("the list changes while it is read: ask again")

// lists reads what waits, for answers of at most limit bytes. It belongs to any worker, not to the shard's owner.
type lists struct {
	store store.Store
	ring  *ring.Ring
	limit int
}

// page returns a shard's lists behind a key.
func (l lists) page(ctx context.Context, req listsRequest) (listsReply, error) {
	out := listsReply{Shards: len(l.ring.Shards()), Lists: []List{}}
	heads, more, err := l.heads(ctx, req)
	if err != nil {
		return listsReply{}, err
	}
	room, ends := l.limit-64-6*frame.MaxKeyBytes, time.Now().Add(maxListsTime)
	keys := slices.Sorted(maps.Keys(heads))
	if more {
		out.Next = keys[len(keys)-1]
	}
	for i, key := range keys {
		list, err := l.list(ctx, req.Shard, key, heads[key])
		if err != nil {
			return listsReply{}, fmt.Errorf("list of key %q: %w", key, err)
		}
		if list == nil {
			continue // worked off meanwhile
		}
		if room -= size(list); i > 0 && (room < 0 || time.Now().After(ends)) {
			out.Next = keys[i-1]
			break
		}
		out.Lists = append(out.Lists, *list)
	}
	return out, nil
}

// heads returns the heads of a shard's first maxLists keys behind a key. more tells whether there are others behind them.
func (l lists) heads(ctx context.Context, req listsRequest) (heads map[string][]byte, more bool, err error) {
	heads = make(map[string][]byte)
	cut := func() {
		if len(heads) > maxLists {
			for _, key := range slices.Sorted(maps.Keys(heads))[maxLists:] {
				delete(heads, key)
			}
			more = true
		}
	}
	err = l.store.Heads(ctx, req.Shard, "", func(key string, head []byte) error {
		if key > req.After {
			heads[key] = slices.Clone(head)
		}
		if len(heads) >= 2*maxLists {
			cut()
		}
		return nil
	})
	cut()
	return heads, more, err
}

// list describes a key's list, whose head was read before. It returns nil if the list is gone meanwhile.
func (l lists) list(ctx context.Context, shard int, key string, stored []byte) (*List, error) {
	for range maxListReads {
		if stored == nil {
			return nil, nil
		}
		head, err := aside.DecodeHead(stored)
		if err != nil {
			return nil, err
		}
		out := describe(key, shard, head)
		first, err := l.id(ctx, shard, key, head.First)
		if err == nil && first != "" {
			out.First, out.Last = first, first
			if head.Len() > 1 {
				out.Last, err = l.id(ctx, shard, key, head.Next-1)
			}
		}
		if err != nil {
			return nil, err
		}
		if out.First != "" && out.Last != "" {
			return &out, nil
		}
		if stored, err = l.head(ctx, shard, key); err != nil {
			return nil, err
		}
	}
	return nil, errListChanges
}

// head returns the head of a key's list, nil if there is none.
func (l lists) head(ctx context.Context, shard int, key string) ([]byte, error) {
	_, heads, err := l.store.States(ctx, shard, []string{key})
	if err != nil {
		return nil, err
	}
	return heads[0], nil
}

// id returns the id of the event with an index, "" if it is gone.
func (l lists) id(ctx context.Context, shard int, key string, index uint64) (string, error) {
	stored, err := l.store.Aside(ctx, shard, "", key, index, 1)
	if err != nil || len(stored) == 0 {
		return "", err
	}
	e, err := aside.DecodeEvent(stored[0])
	return e.ID, err
}

// events returns a key's list, and its events from an index on.
func (l lists) events(ctx context.Context, req eventsRequest) (eventsReply, error) {
	shard := l.ring.Shard(req.Key)
	for range maxListReads {
		stored, err := l.head(ctx, shard, req.Key)
		if err != nil {
			return eventsReply{}, err
		}
		list, err := l.list(ctx, shard, req.Key, stored)
		if err != nil || list == nil {
			return eventsReply{}, err
		}
		out := eventsReply{List: list}
		from, next := max(req.From, list.index), list.index+list.Count
		if from >= next {
			return out, nil
		}
		raw, err := l.store.Aside(ctx, shard, "", req.Key, from, int(min(next-from, maxEventsRead)))
		if err != nil {
			return eventsReply{}, err
		}
		if len(raw) == 0 {
			continue // worked off meanwhile
		}
		if out.Events, err = l.fitting(raw, from, l.limit-size(list)-64); err != nil {
			return eventsReply{}, err
		}
		out.More = from+uint64(len(out.Events)) < next
		return out, nil
	}
	return eventsReply{}, errListChanges
}

// fitting returns the first of some events, as many as fit into some bytes of an answer, but at least one.
func (l lists) fitting(raw [][]byte, from uint64, room int) (out []WaitingEvent, err error) {
	for i, b := range raw {
		e, err := aside.DecodeEvent(b)
		if err != nil {
			return nil, fmt.Errorf("event with the index %d: %w", from+uint64(i), err)
		}
		w := WaitingEvent{Index: from + uint64(i), ID: e.ID, Type: e.Type, Data: e.Data, Headers: e.Headers, Time: e.Time.UTC(), Receipt: e.Receipt}
		if room -= size(w); room < 0 && i > 0 {
			break
		}
		out = append(out, w)
	}
	return out, nil
}

// describe is all of a List but the ids.
func describe(key string, shard int, h aside.Head) List {
	l := List{
		Key: key, Shard: shard, Status: h.Status.String(), Count: h.Len(), Bytes: h.Bytes, Attempts: h.Attempts, Error: h.Error,
		Began: utc(h.Began), Tried: utc(h.Last), index: h.First,
	}
	if h.Mark.Op != aside.None {
		l.Order, l.Ordered = h.Mark.Op.String(), min(h.Mark.Until, h.Next)-min(h.Mark.Until, h.First)
	}
	return l
}

// utc is a time as JSON has it; the zero time stays as it is.
func utc(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC()
}

// size is how many bytes a value takes in an answer, with a comma.
func size(v any) int {
	b, err := json.Marshal(v)
	if err != nil {
		return 0 // the answer's own encoding fails, and says so
	}
	return len(b) + 1
}

// checkLists returns an error if a request for lists names what there is not.
func (l lists) checkLists(req listsRequest) error {
	if n := len(l.ring.Shards()); req.Shard < 0 || req.Shard >= n {
		return fmt.Errorf(`there are shards 0 to %d: send {"shard":0,"after":""}`, n-1)
	}
	return nil
}

func (l lists) checkEvents(req eventsRequest) error {
	if err := frame.CheckKey(req.Key); err != nil {
		return fmt.Errorf(`%w: send {"key":"...","from":0}`, err)
	}
	return nil
}
