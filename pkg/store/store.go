// Package store declares what keeps a shard's committed work: its position in the log, its deduplication record, and the state
// of its keys. Package store/redis implements it, and storetest is the suite that every store must pass.
//
// Every commit draws a new version and must name the previous one. So only one owner's commits can follow one another, even if
// locks fail, and a paused owner can change nothing. (Kleppmann 2016, on fencing, asks that the storage check a token; a
// version checks in addition that the owner has seen every commit before its own.)
package store

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Errors that callers tell apart.
var (
	// ErrStale means that another owner has claimed the shard, or that the store went back in time. Nothing was written.
	ErrStale = errors.New("the shard's stored version is another one")
	// ErrTopology means that the store holds another topology's state. Nothing was written.
	ErrTopology = errors.New("the store belongs to another topology")
	// ErrGone means that a shard's record is missing while the rest of the store exists: a replay would apply events to
	// states that have them already. Nothing was written.
	ErrGone = errors.New("the shard's record is gone")
	// ErrUnsuitable means that the store may drop state, or cannot commit atomically.
	ErrUnsuitable = errors.New("the store is not suitable")
)

// Version is the random token that every commit of a shard renews.
type Version string

// NewVersion draws a version.
func NewVersion() Version { return Version(rand.Text()) }

// Position names the last message that a shard has committed: its epoch, its stream sequence and its time. The zero value
// lies before the first message. A position without a time was set when an operator accepted a gap: it is not compared with
// the log.
type Position struct {
	Epoch uint64
	Seq   uint64
	Time  time.Time
}

// String is the position as it is stored: epoch, sequence and the message's time in Unix nanoseconds.
func (p Position) String() string {
	if p.Seq == 0 && p.Epoch == 0 {
		return ""
	}
	nanos := int64(0)
	if !p.Time.IsZero() {
		nanos = p.Time.UnixNano()
	}
	return fmt.Sprintf("%d %d %d", p.Epoch, p.Seq, nanos)
}

// ParsePosition reads what String wrote.
func ParsePosition(s string) (Position, error) {
	if s == "" {
		return Position{}, nil
	}
	parts := strings.Split(s, " ")
	var n [3]uint64
	if len(parts) != len(n) {
		return Position{}, fmt.Errorf("position %q: must be an epoch, a sequence and a time", s)
	}
	for i, part := range parts {
		v, err := strconv.ParseUint(part, 10, 63)
		if err != nil {
			return Position{}, fmt.Errorf("position %q: %w", s, err)
		}
		n[i] = v
	}
	p := Position{Epoch: n[0], Seq: n[1]}
	if n[2] != 0 {
		p.Time = time.Unix(0, int64(n[2]))
	}
	return p, nil
}

// Record is a shard's record as its owner reads it with the claim. The publishers, of which there may be very many, are read
// apart.
type Record struct {
	Fence      uint64 // grows with every claim
	Version    Version
	Position   Position
	RoundStart uint64 // the first stream sequence of the last round committed, in the position's epoch
	Late       uint64 // events of forgotten publishers, not applied
	LateLast   string // the newest of them, for operators
}

// Commit is one atomic write. It happens if the shard's version is Old, or not at all.
type Commit struct {
	Shard      int
	Old, New   Version
	Position   Position
	RoundStart uint64
	Dedup      []Pair // nil values are removed
	States     []Pair
	Late       uint64 // the new total
	LateLast   string
}

// Pair is a key, or a publisher, with its value.
type Pair struct {
	Key   string
	Value []byte
}

// Shard is the part of a shard's record that any process may read.
type Shard struct {
	Fence    uint64
	Position Position
	Err      error // the record of this shard cannot be read; nil if it could
}

// Store keeps shards and states. Its methods are safe for concurrent use.
type Store interface {
	// Check returns an error that wraps ErrTopology if the store belongs to another topology, or ErrUnsuitable. It stamps a
	// store that belongs to none with this topology.
	Check(ctx context.Context) error
	// Reconnected receives after each new connection to the store: another server may answer now, so call Check. It is nil if
	// the store has no connections. Call it once.
	Reconnected() <-chan struct{}
	// Claim makes the caller the shard's owner, with a new version and a fence that is the larger of revision and the
	// previous fence + 1. It may return an error that wraps ErrTopology, or ErrGone if this store knows of an earlier claim
	// of the shard and has no record of it. (An emptied store, or one that went back to before the first claim, knows none.)
	Claim(ctx context.Context, shard int, revision uint64, version Version) (Record, error)
	// Publishers calls take with each publisher's entry in the shard's deduplication record, with some perhaps more than
	// once. take returns true when it sees a publisher for the first time. Publishers may return ErrStale, also in the
	// middle: discard the entries then. It reads in pages, so that a large record never blocks the store for long.
	Publishers(ctx context.Context, shard int, version Version, take func(id string, encoded []byte) (added bool, err error)) error
	// Load returns the states of keys, nil where there is none, or ErrStale. Without keys it only checks the version.
	Load(ctx context.Context, shard int, version Version, keys []string) ([][]byte, error)
	// Commit writes all of c or nothing. It returns nil if the version is c.New already: the call is a repetition. It may
	// return ErrStale. After any other error the outcome is unknown: call it again.
	Commit(ctx context.Context, c *Commit) error
	// States returns the states of keys, nil where there is none. Any process may call it.
	States(ctx context.Context, keys []string) ([][]byte, error)
	// Shards returns the shards 0 to n-1. A record that cannot be read is an error of its shard alone.
	Shards(ctx context.Context, n int) ([]Shard, error)
	// PutToken stores a value under a name, for TokenTTL. Another client finds it if it uses the same store.
	PutToken(ctx context.Context, name, value string) error
	// Token returns the value stored under a name, "" if there is none.
	Token(ctx context.Context, name string) (string, error)
}

// Envelope is a stored state: how it is encoded, and its bytes.
type Envelope struct {
	Codec  uint64 // 1: JSON; from 64 on: the application's own
	Schema uint64 // of the application's type
	Data   []byte
}

// TokenTTL is how long a store keeps a token after it was put last.
const TokenTTL = 10 * time.Minute

// CodecJSON is the codec of an envelope that holds JSON.
const CodecJSON = 1

// Append encodes e: codec and schema as varints, then the bytes.
func (e Envelope) Append(b []byte) []byte {
	b = binary.AppendUvarint(b, e.Codec)
	b = binary.AppendUvarint(b, e.Schema)
	return append(b, e.Data...)
}

// DecodeEnvelope reads an envelope. Its Data points into b.
func DecodeEnvelope(b []byte) (Envelope, error) {
	codec, n := binary.Uvarint(b)
	if n <= 0 {
		return Envelope{}, errors.New("stored state has no codec")
	}
	schema, m := binary.Uvarint(b[n:])
	if m <= 0 {
		return Envelope{}, errors.New("stored state has no schema version")
	}
	return Envelope{Codec: codec, Schema: schema, Data: b[n+m:]}, nil
}
