// Package store keeps what a shard has committed: its position in the log, its deduplication record, and the state of its
// keys. Every commit renews the shard's version and must name the one before; so at most one owner's writes can follow one
// another, whatever has become of locks, and a paused owner can change nothing. (Kleppmann 2016, on fencing, asks that the
// storage check a token; a version checks in addition that the owner has seen every commit before its own.)
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
	// ErrStale means that another has claimed the shard, or that the store went back in time. Nothing was written.
	ErrStale = errors.New("the shard's stored version is another one")
	// ErrTopology means that the store holds the state of another topology. Nothing was written.
	ErrTopology = errors.New("the store belongs to another topology")
	// ErrGone means that a shard's record is gone while the rest of the store stands: its states are those of events that
	// a replay would apply again. Nothing was written.
	ErrGone = errors.New("the shard's record is gone")
	// ErrUnsuitable means that the store cannot keep what it is given.
	ErrUnsuitable = errors.New("the store is not suitable")
)

// Version is the random token that every commit of a shard renews.
type Version string

// NewVersion draws a version.
func NewVersion() Version { return Version(rand.Text()) }

// Position is how far a shard has been committed: the last message, by its epoch, its stream sequence and its time. The
// zero value lies before the first message. One without a time was set by an operator who accepted a gap: the log is not
// held against it.
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

// Record is what a shard's owner reads when it claims the shard, but for the publishers, of which there may be very many.
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

// Shard is what anybody may read of a shard.
type Shard struct {
	Fence    uint64
	Position Position
	Err      error // why its record cannot be read, which says nothing of the others; nil if it could
}

// Store keeps shards and states. Its methods are safe for concurrent use.
type Store interface {
	// Check returns an error that wraps ErrTopology if the store belongs to another topology, or ErrUnsuitable. A store
	// that belongs to none is stamped with this one.
	Check(ctx context.Context) error
	// Reconnected tells that a connection to the store was made: what is behind it may have changed, and is to be checked. It
	// is nil if there are no connections. Call it once.
	Reconnected() <-chan struct{}
	// Claim makes the caller the shard's owner: with a new version, and a fence that is the larger of revision and the
	// fence before + 1. It may return an error that wraps ErrTopology, or ErrGone if the shard was claimed before in this
	// store and its record is not there. (In a store that was emptied, or went back to before the first claim, it was not.)
	Claim(ctx context.Context, shard int, revision uint64, version Version) (Record, error)
	// Publishers calls take for each publisher of the shard's deduplication record, some perhaps more than once, with what
	// was committed of it. take tells whether it saw the publisher for the first time. It may return ErrStale, in the
	// middle too: then what take was given is of no use. The store is never held for long, however many there are.
	Publishers(ctx context.Context, shard int, version Version, take func(id string, encoded []byte) (added bool, err error)) error
	// Load returns the states of keys, nil where there is none, or ErrStale. Without keys it tells whether the version stands.
	Load(ctx context.Context, shard int, version Version, keys []string) ([][]byte, error)
	// Commit writes all of c or nothing. If the version is c.New already it returns nil: the call is a repeated one.
	// It may return ErrStale. After any other error it is not known whether the commit happened: call it again.
	Commit(ctx context.Context, c *Commit) error
	// States returns the states of keys, nil where there is none, to anybody.
	States(ctx context.Context, keys []string) ([][]byte, error)
	// Shards returns what is known of the shards 0 to n-1. A record that cannot be read is an error of its shard alone.
	Shards(ctx context.Context, n int) ([]Shard, error)
	// PutToken leaves a value under a name, for TokenTTL. Another client finds it there if it uses the same store.
	PutToken(ctx context.Context, name, value string) error
	// Token returns what was left under a name, "" if nothing was.
	Token(ctx context.Context, name string) (string, error)
}

// Envelope is a stored state: how it is encoded, and its bytes.
type Envelope struct {
	Codec  uint64 // 1: JSON. Those from 64 on are an application's own
	Schema uint64 // of the application's type
	Data   []byte
}

// TokenTTL is how long a store keeps a token, unless it is put again.
const TokenTTL = 10 * time.Minute

// CodecJSON says that an envelope holds JSON.
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
