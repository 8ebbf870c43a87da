package topology

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"

	"github.com/nats-io/nats.go/jetstream"
)

const purgedSchema = 1

// Purged is what the janitor records before it purges a stream: the position of each shard that it relied on. A store that
// stands behind that has gone back further than the log reaches.
type Purged struct {
	Schema int            `json:"schema"`
	First  uint64         `json:"first"`  // nothing from here on was purged
	Shards map[int]uint64 `json:"shards"` // the stream sequence up to which each shard had committed, of what was purged
}

func purgedKey(epoch uint64, lane int) string { return fmt.Sprintf("purged.%d.%d", epoch, lane) }

// RecordPurge stores p for a lane. What was recorded before stays relied upon; another janitor's record of meanwhile is an
// error.
func RecordPurge(ctx context.Context, js jetstream.JetStream, kv jetstream.KeyValue, epoch uint64, lane int, p Purged) error {
	before, revision, err := loadPurged(ctx, js, kv, epoch, lane)
	if err != nil {
		return err
	}
	b, err := json.Marshal(p.after(before))
	if err != nil {
		return fmt.Errorf("record a purge: %w", err)
	}
	if _, err := kv.Update(ctx, purgedKey(epoch, lane), b, revision); err != nil {
		return fmt.Errorf("record a purge: %w", err)
	}
	return nil
}

// LoadPurged returns what was recorded last, as the bucket's leader has it, or the zero value.
func LoadPurged(ctx context.Context, js jetstream.JetStream, kv jetstream.KeyValue, epoch uint64, lane int) (Purged, error) {
	p, _, err := loadPurged(ctx, js, kv, epoch, lane)
	return p, err
}

func loadPurged(ctx context.Context, js jetstream.JetStream, kv jetstream.KeyValue, epoch uint64, lane int) (p Purged, revision uint64, err error) {
	e, err := lastEntry(ctx, js, kv.Bucket(), purgedKey(epoch, lane))
	if err != nil {
		return Purged{}, 0, fmt.Errorf("read what was purged: %w", err)
	}
	if !e.there() {
		return Purged{}, e.revision, nil
	}
	p, err = decodePurged(e.value)
	return p, e.revision, err
}

func decodePurged(b []byte) (p Purged, err error) {
	if err := json.Unmarshal(b, &p); err != nil {
		return Purged{}, fmt.Errorf("read what was purged: %w", err)
	}
	return p, nil
}

// after is p as it is recorded on top of another purge: what that relied upon stays so.
func (p Purged) after(before Purged) Purged {
	out := Purged{Schema: purgedSchema, First: max(p.First, before.First), Shards: maps.Clone(before.Shards)}
	if out.Shards == nil {
		out.Shards = make(map[int]uint64, len(p.Shards))
	}
	for shard, seq := range p.Shards {
		out.Shards[shard] = max(out.Shards[shard], seq)
	}
	return out
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
