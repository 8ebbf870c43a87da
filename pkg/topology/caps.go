package topology

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

const capsSchema = 1

// Caps bound what a shard may set aside. A shard that has reached one takes nothing more from its log.
type Caps struct {
	Keys   uint64 // keys with events set aside; 0: the default
	Events uint64 // events set aside, of all keys; 0: the default
}

// capsEntry is how Caps are stored, in the bucket and in a shard's record.
type capsEntry struct {
	Schema int    `json:"schema"`
	Keys   uint64 `json:"keys,omitempty"`
	Events uint64 `json:"events,omitempty"`
}

// String is the caps as they are stored; "" if both are the defaults.
func (c Caps) String() string {
	if c == (Caps{}) {
		return ""
	}
	b, err := json.Marshal(capsEntry{Schema: capsSchema, Keys: c.Keys, Events: c.Events})
	if err != nil {
		panic(err) // three numbers
	}
	return string(b)
}

// ParseCaps reads caps as String writes them.
func ParseCaps(s string) (Caps, error) {
	if s == "" {
		return Caps{}, nil
	}
	var e capsEntry
	if err := json.Unmarshal([]byte(s), &e); err != nil {
		return Caps{}, fmt.Errorf("read caps %q: %w", s, err)
	}
	if e.Schema != capsSchema {
		return Caps{}, fmt.Errorf("read caps %q: schema %d is not known to this version (it knows %d): upgrade this program", s, e.Schema, capsSchema)
	}
	return Caps{Keys: e.Keys, Events: e.Events}, nil
}

// Raised returns c with each cap that by has higher.
func (c Caps) Raised(by Caps) Caps {
	return Caps{Keys: max(c.Keys, by.Keys), Events: max(c.Events, by.Events)}
}

func capsKey(shard int) string { return fmt.Sprintf("caps.%d", shard) }

// RaiseCaps raises the caps that the topology's bucket keeps for a shard, and returns them. They serve a slot that is filled by
// a replay, for the record that has them too is lost with the slot. It is an error if another process raises them at the same
// time.
func RaiseCaps(ctx context.Context, js jetstream.JetStream, kv jetstream.KeyValue, shard int, by Caps) (Caps, error) {
	before, revision, err := loadCaps(ctx, js, kv, shard)
	if err != nil {
		return Caps{}, err
	}
	caps := before.Raised(by)
	if caps == before {
		return caps, nil
	}
	if _, err := kv.Update(ctx, capsKey(shard), []byte(caps.String()), revision); err != nil {
		return Caps{}, fmt.Errorf("keep the caps of shard %d: %w", shard, err)
	}
	return caps, nil
}

// LoadCaps returns the raised caps of a shard, read from the bucket's leader, or the zero value.
func LoadCaps(ctx context.Context, js jetstream.JetStream, kv jetstream.KeyValue, shard int) (Caps, error) {
	c, _, err := loadCaps(ctx, js, kv, shard)
	return c, err
}

func loadCaps(ctx context.Context, js jetstream.JetStream, kv jetstream.KeyValue, shard int) (c Caps, revision uint64, err error) {
	e, err := lastEntry(ctx, js, kv.Bucket(), capsKey(shard))
	if err != nil {
		return Caps{}, 0, fmt.Errorf("read the caps of shard %d: %w", shard, err)
	}
	if !e.there() {
		return Caps{}, e.revision, nil
	}
	if c, err = ParseCaps(string(e.value)); err != nil {
		return Caps{}, 0, fmt.Errorf("shard %d: %w", shard, err)
	}
	return c, e.revision, nil
}
