package topology

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"

	"github.com/nats-io/nats.go/jetstream"
)

const purgedSchema = 1

// Purged is the janitor's record of a purge, written before it: the position of each shard that the janitor relied on. A store
// whose position lies before that has gone back further than the log reaches.
type Purged struct {
	Schema int            `json:"schema"`
	First  uint64         `json:"first"`  // the first message that was not purged
	Shards map[int]uint64 `json:"shards"` // by shard: the stream sequence up to which it had committed, below First
}

func purgedKey(epoch uint64, lane int) string { return fmt.Sprintf("purged.%d.%d", epoch, lane) }

// RecordPurge stores p for a lane, merged with the earlier record. It is an error if another janitor records a purge at the
// same time.
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

// LoadPurged returns the last record, read from the bucket's leader, or the zero value.
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

// after merges p with the record of an earlier purge.
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

// Reaches tells whether the log, whose first message is first, still has all of a shard's messages after seq: either no message
// after seq was purged, or the shard had none among those that were. ok is false if a purge is missing from the record.
func (p Purged) Reaches(shard int, seq, first uint64) (reaches, ok bool) {
	switch {
	case first <= seq+1:
		return true, true
	case p.First < first:
		return false, false
	}
	return p.Shards[shard] <= seq, true
}
