// Package store declares what keeps a shard's committed work, its slot: its position in the log, its deduplication record, the
// states of its keys with the proof of each, and the lists of events that are set aside. Package store/redis implements it, and
// storetest is the suite that every store must pass.
//
// A slot is the unit of all that a store promises. A commit writes to one slot. A store may lose its latest writes, and then
// each slot goes back in time by itself. It may even lose a part of a slot, which is then torn: a store finds out and says so.
//
// Every commit draws a new version and must name the previous one. So only one owner's commits can follow one another, even if
// locks fail, and a paused owner can change nothing. (Kleppmann 2016, on fencing, asks that the storage check a token; a
// version checks in addition that the owner has seen every commit before its own.)
package store

import (
	"context"
	"crypto/rand"
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
	// ErrTorn means that a part of the shard's slot is missing, or older than the rest of it: a replay would apply events to
	// states that have them already. Nothing was written. Empty empties such a slot. Errors of Claim and Intact are TornErrors.
	ErrTorn = errors.New("the shard's slot is torn")
	// ErrFormat means that the shard's record, or the whole store, has a format that this version does not read. Nothing was
	// written.
	ErrFormat = errors.New("the store has another format")
	// ErrNoKey means that a call names a key without a byte. Nothing was read or written.
	ErrNoKey = errors.New("a key must not be empty")
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
	Fence    uint64 // grows with every claim
	Version  Version
	Position Position
	Late     uint64 // events of forgotten publishers, not applied
	LateLast string // the newest of them, for operators
	Owed     []byte // the receipts that the last commit owes; nil for none
	Caps     string // on what is set aside, as they were last committed; "" for the defaults
}

// Commit is one atomic write. It happens if the shard's version is Old, or not at all.
type Commit struct {
	Shard    int
	Old, New Version
	Position Position
	Dedup    []Pair // nil values are removed
	States   []Pair // likewise, each key once
	Lists    []List // of events set aside, each key once
	Late     uint64 // the new total
	LateLast string
	Owed     []byte // the receipts that this commit owes, in place of those of the commit before; nil for none
	Caps     string // "" leaves them as they are
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

// Formats of slots. A record names the least one that a version must know to use its slot.
const (
	FormatStates = 1           // a slot that never had a list
	FormatLists  = 2           // any other: an older version would apply events past the lists of their keys
	Format       = FormatLists // the newest one that this version reads and writes
)

// Store keeps shards and states. Its methods are safe for concurrent use. A key is any bytes, at least one: those that take keys return
// ErrNoKey otherwise.
type Store interface {
	// Check looks at the store and at the records of the shards 0 to n-1. It returns an error that wraps ErrTopology if one of
	// them belongs to another topology, ErrFormat if the store was filled by a version with another layout, or ErrUnsuitable.
	Check(ctx context.Context, n int) error
	// Reconnected receives after each new connection to the store: another server may answer now, so call Check, and have each
	// owner call Verify. It is nil if the store has no connections. Call it once.
	Reconnected() <-chan struct{}
	// Claim makes the caller the shard's owner, with a new version and a fence that is the larger of revision and the
	// previous fence + 1. An empty slot is made. It may return an error that wraps ErrTopology, ErrFormat or ErrTorn.
	Claim(ctx context.Context, shard int, revision uint64, version Version) (Record, error)
	// Empty removes all of a slot that is torn as Claim or Intact found it. Any other slot stays as it is, and Empty returns an
	// error that wraps ErrStale: a late call must not remove what another owner has filled meanwhile, even if it is torn again.
	// The shard is then to be filled by a replay of the log from its beginning: call Empty only if the log still reaches as far.
	Empty(ctx context.Context, shard int, found Markers) error
	// Publishers calls take with each publisher's entry in the shard's deduplication record, with some perhaps more than
	// once. take returns true when it sees a publisher for the first time. Publishers may return ErrStale, also in the
	// middle: discard the entries then. It reads in pages, so that a large record never blocks the store for long.
	Publishers(ctx context.Context, shard int, version Version, take func(id string, encoded []byte) (added bool, err error)) error
	// Load returns the states of keys, nil where there is none, or ErrStale, also if what it reads is torn.
	Load(ctx context.Context, shard int, version Version, keys []string) ([][]byte, error)
	// Heads calls take with each key that has a list, and the list's head, with some perhaps twice. It may return ErrStale, also
	// in the middle: discard the heads then. It reads in pages. Any process may call it with the version "": then it may return
	// ErrTorn instead, and leave out lists that come or go meanwhile, or some of all if the store fails over meanwhile.
	Heads(ctx context.Context, shard int, version Version, take func(key string, head []byte) error) error
	// Aside returns events of a key's list in order, from the index from on: up to the first that is not there, at most n, and
	// not beyond AsideBytes: the event that reaches this limit is the last. It may return ErrStale, also if what it reads is
	// torn. Any process may call it with the version "": then it may return ErrTorn instead.
	Aside(ctx context.Context, shard int, version Version, key string, from uint64, n int) ([][]byte, error)
	// Verify returns ErrStale if the shard's version is another one or any part of its slot is torn.
	Verify(ctx context.Context, shard int, version Version) error
	// Commit writes all of c or nothing. It returns nil if the version is c.New already: the call is a repetition. It may
	// return ErrStale, also if what it writes to is torn. After any other error the outcome is unknown: call it again.
	Commit(ctx context.Context, c *Commit) error
	// States returns the states of keys of one shard and the heads of their lists, as they are at one time: nil where there is
	// none, or an error that wraps ErrTorn. Any process may call it.
	States(ctx context.Context, shard int, keys []string) (states, heads [][]byte, err error)
	// Shards returns the shards 0 to n-1. A record that cannot be read is an error of its shard alone.
	Shards(ctx context.Context, n int) ([]Shard, error)
	// Intact returns a shard whose slot was compared in all its parts, or an error that wraps ErrTorn, ErrTopology or ErrFormat.
	Intact(ctx context.Context, shard int) (Shard, error)
	// PutToken stores a value under a name, for TokenTTL. Another client finds it if it uses the same store.
	PutToken(ctx context.Context, name, value string) error
	// Token returns the value stored under a name, "" if there is none.
	Token(ctx context.Context, name string) (string, error)
}

// TokenTTL is how long a store keeps a token after it was put last.
const TokenTTL = 10 * time.Minute
