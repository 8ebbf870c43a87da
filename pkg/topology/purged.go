package topology

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// Purged is what the janitor records before it purges a stream: the position of each shard that it relied on. A store that
// stands behind that has gone back further than the log reaches.
type Purged struct {
	Schema int            `json:"schema"`
	First  uint64         `json:"first"`  // nothing from here on was purged
	Shards map[int]uint64 `json:"shards"` // the stream sequence up to which each shard had committed, of what was purged
}

func purgedKey(epoch uint64, lane int) string { return fmt.Sprintf("purged.%d.%d", epoch, lane) }

// RecordPurge stores p for a lane. What was recorded before stays relied upon.
func RecordPurge(ctx context.Context, kv jetstream.KeyValue, epoch uint64, lane int, p Purged) error {
	before, err := LoadPurged(ctx, kv, epoch, lane)
	if err != nil {
		return err
	}
	p.Schema, p.First = schema, max(p.First, before.First)
	for shard, seq := range before.Shards {
		p.Shards[shard] = max(p.Shards[shard], seq)
	}
	b, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("record a purge: %w", err)
	}
	if _, err := kv.Put(ctx, purgedKey(epoch, lane), b); err != nil {
		return fmt.Errorf("record a purge: %w", err)
	}
	return nil
}

// LoadPurged returns what was recorded last, or the zero value.
func LoadPurged(ctx context.Context, kv jetstream.KeyValue, epoch uint64, lane int) (Purged, error) {
	e, err := kv.Get(ctx, purgedKey(epoch, lane))
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return Purged{}, nil
	}
	if err != nil {
		return Purged{}, fmt.Errorf("read what was purged: %w", err)
	}
	var p Purged
	if err := json.Unmarshal(e.Value(), &p); err != nil {
		return Purged{}, fmt.Errorf("read what was purged: %w", err)
	}
	return p, nil
}

// Reaches tells whether the log, whose first message is first, still has everything behind seq for a shard: either nothing
// behind seq is gone, or the shard had nothing there. ok is false if a purge is not on record, or not yet seen.
func (p Purged) Reaches(shard int, seq, first uint64) (reaches, ok bool) {
	switch {
	case first <= seq+1:
		return true, true
	case p.First < first:
		return false, false
	}
	return p.Shards[shard] <= seq, true
}
