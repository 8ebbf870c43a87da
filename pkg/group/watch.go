package group

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"

	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Watcher reports changes of ownership to a process that is no member.
type Watcher struct {
	changed   func(shard int, owner string)
	followers []*topology.Follower

	mu     sync.Mutex // guards what follows
	names  map[string]string
	owners map[int]claim
	synced bool // the present owners have been delivered
}

// Watch calls changed for each change of a shard's owner from now on, with the worker's name (its id, if its name is not
// known), until Stop. It does not report the present owners. It returns an error if the group's buckets do not exist, as
// before the first worker has started.
func Watch(ctx context.Context, nc *nats.Conn, app string, changed func(shard int, owner string)) (*Watcher, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("watch owners: %w", err)
	}
	w := &Watcher{changed: changed, names: make(map[string]string), owners: make(map[int]claim)}
	for _, b := range []struct {
		name string
		take func(jetstream.KeyValueEntry)
	}{{"members", w.member}, {"claims", w.claim}} {
		kv, err := js.KeyValue(ctx, topology.Bucket(app, b.name))
		if err != nil {
			w.Stop()
			return nil, fmt.Errorf("watch owners: bucket %s: %w", topology.Bucket(app, b.name), err)
		}
		f, err := topology.Follow(ctx, nc, kv, slog.New(slog.DiscardHandler), func() {}, b.take)
		if err != nil {
			w.Stop()
			return nil, fmt.Errorf("watch owners: %w", err)
		}
		w.followers = append(w.followers, f)
	}
	return w, nil
}

// Stop ends the watch; changed is called no more once it returns.
func (w *Watcher) Stop() {
	for _, f := range w.followers {
		f.Stop()
	}
}

func (w *Watcher) member(e jetstream.KeyValueEntry) {
	var m Member
	if e == nil || e.Operation() != jetstream.KeyValuePut || json.Unmarshal(e.Value(), &m) != nil {
		return // a worker that has left keeps its name here
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.names[e.Key()] = m.Name
}

func (w *Watcher) claim(e jetstream.KeyValueEntry) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if e == nil { // all present owners have been delivered
		w.synced = true
		return
	}
	var shard int
	var c claim
	if _, err := fmt.Sscanf(e.Key(), "shard.%d", &shard); err != nil || e.Operation() != jetstream.KeyValuePut || json.Unmarshal(e.Value(), &c) != nil {
		return
	}
	if w.owners[shard] == c { // announced first, and then confirmed
		return
	}
	w.owners[shard] = c
	if !w.synced {
		return
	}
	name := w.names[c.Member]
	if name == "" {
		name = c.Member
	}
	w.changed(shard, name)
}
