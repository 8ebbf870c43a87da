// Package topology says which shards there are and where their logs lie: the epochs with their shards and lanes, and the
// streams behind them. It is one entry of a KV bucket that also holds the routers' permits. A watch delivers both in one
// order: a router that has seen its permit renewed has seen every topology before that.
package topology

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"example.com/lockstep/pkg/ring"
)

// Errors that callers tell apart.
var (
	ErrNotFound = errors.New("no topology")
	ErrMismatch = errors.New("settings differ")
	// ErrUnreadable means that this program does not understand the topology's entry: a newer version wrote it, or it is damaged.
	ErrUnreadable = errors.New("the topology cannot be read")
	ErrGone       = errors.New("it is gone") // a bucket that existed
)

const (
	// schema 2: batches begin with a mark, and plain events name their place.
	schema = 2
	// Format is the newest format of a topology that this version knows. A version that writes what an older one would pass
	// over, as the older one ignores fields that it does not know, writes a higher one as Topology.Needs.
	Format = 1
	// MaxShards bounds the shards of an epoch.
	MaxShards = 4096
	// ShardsPerLane is how many shards share a lane with lanes=auto.
	ShardsPerLane = 16
)

// Topology is the value of the bucket's key "topology".
type Topology struct {
	Schema  int       `json:"schema"`
	Needs   int       `json:"needs"` // the least Format that a program must know; 1 if the entry does not say
	ID      string    `json:"id"`    // random; the store is stamped with it
	Created time.Time `json:"created"`
	Ready   bool      `json:"ready"` // all streams of its epochs have been created once
	Epochs  []Epoch   `json:"epochs"`
	Log     Log       `json:"log"`
}

// Epoch is one version of the set of shards and lanes. Its shards are 0 to Shards-1; shard i lies on lane i mod Lanes.
type Epoch struct {
	Epoch  uint64 `json:"epoch"`
	Shards int    `json:"shards"`
	Lanes  int    `json:"lanes"`
	Ended  bool   `json:"ended,omitempty"`
}

// Log is how streams are created.
type Log struct {
	Replicas     int           `json:"replicas"`
	MaxBytes     int64         `json:"max_bytes"`     // of each stream; when it is reached, publishers are refused
	HistoryAge   time.Duration `json:"history_age"`   // in nanoseconds: older committed events may be purged
	HistoryBytes int64         `json:"history_bytes"` // of all streams, in sum
}

// Current is the newest epoch.
func (t Topology) Current() Epoch { return t.Epochs[len(t.Epochs)-1] }

// Epoch returns the epoch with that number, if it is still known.
func (t Topology) Epoch(n uint64) (Epoch, bool) {
	for _, e := range t.Epochs {
		if e.Epoch == n {
			return e, true
		}
	}
	return Epoch{}, false
}

// Lane is the lane on which a shard lies.
func (e Epoch) Lane(shard int) int { return shard % e.Lanes }

// Ring maps keys to the epoch's shards.
func (e Epoch) Ring() (*ring.Ring, error) {
	ids := make([]int, e.Shards)
	for i := range ids {
		ids[i] = i
	}
	return ring.New(ids)
}

// Decode reads and checks a topology. Its error wraps ErrUnreadable, and says what to do.
func Decode(b []byte) (Topology, error) {
	var t Topology
	if err := checkVersion(b); err != nil {
		return Topology{}, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	err := json.Unmarshal(b, &t)
	if err == nil {
		t.Needs = max(t.Needs, 1)
		err = t.check()
	}
	if err != nil {
		return Topology{}, fmt.Errorf("%w: %w: if a newer version wrote it, upgrade this program; "+
			"else delete the entry and write it again (router restore-topology)", ErrUnreadable, err)
	}
	return t, nil
}

// checkVersion looks only at the fields that tell of the version: the others may have changed their types.
func checkVersion(b []byte) error {
	var v struct{ Schema, Needs int }
	switch err := json.Unmarshal(b, &v); {
	case err != nil:
		return nil // it is damaged
	case v.Schema == 1:
		return errors.New("its log was written by an earlier version, in a format that this one does not read: " +
			"let the earlier version apply all that is in it, then begin with an empty log and store (locally: go tool task clean)")
	case v.Schema > schema:
		return fmt.Errorf("schema %d is not known to this version (it knows %d): upgrade this program", v.Schema, schema)
	case v.Needs > Format:
		return fmt.Errorf("it needs format %d, and this version knows %d: upgrade this program", v.Needs, Format)
	}
	return nil
}

func (t Topology) check() error {
	switch {
	case t.Schema != schema:
		return fmt.Errorf("schema %d is not known", t.Schema)
	case t.ID == "":
		return errors.New("it has no id")
	case len(t.Epochs) == 0:
		return errors.New("it has no epochs")
	}
	last := uint64(0)
	for _, e := range t.Epochs {
		if e.Epoch <= last {
			return fmt.Errorf("epoch %d follows epoch %d", e.Epoch, last)
		}
		if err := e.check(); err != nil {
			return fmt.Errorf("epoch %d: %w", e.Epoch, err)
		}
		last = e.Epoch
	}
	return nil
}

func (e Epoch) check() error {
	if e.Shards < 1 || e.Shards > MaxShards {
		return fmt.Errorf("%d shards: must be 1 to %d", e.Shards, MaxShards)
	}
	if e.Lanes < 1 || e.Lanes > e.Shards {
		return fmt.Errorf("%d lanes: must be 1 to the number of shards, %d", e.Lanes, e.Shards)
	}
	return nil
}

// Initial is the values of a new topology. The router that creates it uses its own; they are ignored once the topology is ready.
type Initial struct {
	Shards int
	Lanes  int // 0: one for each 16 shards
	Log    Log
}

// epoch is the first epoch.
func (i Initial) epoch() (Epoch, error) {
	e := Epoch{Epoch: 1, Shards: i.Shards, Lanes: i.Lanes}
	if e.Lanes == 0 {
		e.Lanes = (i.Shards + ShardsPerLane - 1) / ShardsPerLane
	}
	return e, e.check()
}

// Validate returns an error that says which value is out of range.
func (i Initial) Validate() error {
	if i.Lanes < 0 {
		return fmt.Errorf("%d lanes: must be at least 1, or auto", i.Lanes)
	}
	if _, err := i.epoch(); err != nil {
		return err
	}
	switch {
	case i.Log.Replicas < 1 || i.Log.Replicas > 5:
		return fmt.Errorf("%d replicas: must be 1 to 5", i.Log.Replicas)
	case i.Log.MaxBytes < 1<<20:
		return fmt.Errorf("log of %d bytes: must be at least 1 MiB", i.Log.MaxBytes)
	case i.Log.HistoryAge < 0:
		return fmt.Errorf("history of %s: must not be negative", i.Log.HistoryAge)
	case i.Log.HistoryBytes < 0:
		return fmt.Errorf("history of %d bytes: must not be negative", i.Log.HistoryBytes)
	}
	return nil
}
