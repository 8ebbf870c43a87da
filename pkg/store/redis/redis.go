// Package redis is the store in Redis: one server, or a cluster. All of a shard lies under one hash tag, and every script
// touches one shard alone and names each key that it touches.
package redis

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"

	"example.com/lockstep/pkg/store"
	"github.com/cespare/xxhash/v2"
	"github.com/redis/go-redis/v9"
)

// The scripts. Each checks before its first write, for Redis keeps the writes of a script that fails half-way.
var (
	//go:embed compare.lua
	compareSource string
	//go:embed claim.lua
	claimSource string
	//go:embed empty.lua
	emptySource string
	//go:embed verify.lua
	verifySource string
	//go:embed publishers.lua
	publishersSource string
	//go:embed load.lua
	loadSource string
	//go:embed commit.lua
	commitSource string
	//go:embed heads.lua
	headsSource string
	//go:embed aside.lua
	asideSource string
)

// scripts are what a Store runs.
type scripts struct{ claim, empty, verify, publishers, load, commit, heads, aside *redis.Script }

// newScripts makes the scripts; prepare may change their sources.
func newScripts(prepare func(source string) string) scripts {
	script := func(parts ...string) *redis.Script { return redis.NewScript(prepare(strings.Join(parts, ""))) }
	return scripts{
		claim: script(compareSource, claimSource), empty: script(compareSource, emptySource), verify: script(compareSource, verifySource),
		publishers: script(publishersSource), load: script(loadSource), commit: script(commitSource),
		heads: script(headsSource), aside: script(asideSource),
	}
}

// Fields of a record. A publisher's deduplication record is in the field dedupPrefix + its id.
const (
	fieldTopology = "topology"
	fieldNeeds    = "needs"
	fieldFence    = "fence"
	fieldPosition = "position"
	fieldOwed     = "owed"
	fieldLate     = "late"
	fieldLateLast = "late_last"
	fieldCaps     = "caps"
	dedupPrefix   = "dedup:"
)

// buckets is how many hashes hold a shard's states, and how many its lists: so many that none grows too large to be moved to another
// node, or to be removed, at once.
const buckets = 16

// headsBucket is the number of the hash that holds the heads of all lists. The others hold events.
const headsBucket = 0

// marker is the field of a hash that holds its marker: the version of the last commit that wrote to the hash. The record names
// it too. No key is empty.
const marker = ""

// Store is a store.Store in Redis. All of shard n lies in one slot of a cluster:
//
//	{<app>:<n>}:record         hash: topology, needs, fence, version, position, owed, late, late_last, caps,
//	                           dedup:<publisher> ..., and the marker of each other hash: m:state:<0-15>, m:aside:<0-15>
//	{<app>:<n>}:state:<0-15>   hash: a key's state by the low bits of the key's xxhash64; and its marker
//	{<app>:<n>}:aside:0        hash: the head of a key's list of events that are set aside, by the key; and its marker
//	{<app>:<n>}:aside:<1-15>   hash: events of these lists, by index (8 bytes in big endian) and key; and its marker. Runs of 64 events
//	                           of a key go round all 15 of them, beginning at the one that the key's hash says
//	<app>:token:<name>         a value that a worker stored for itself and others to find, for some minutes
type Store struct {
	rdb      redis.UniversalClient
	app      string
	topology string
	calls    *nodes
	scripts  scripts
}

// New returns the Store of the topology with that id. Call Check before use.
func New(rdb redis.UniversalClient, app, topology string) *Store {
	return newStore(rdb, app, topology, func(source string) string { return source })
}

func newStore(rdb redis.UniversalClient, app, topology string, prepare func(source string) string) *Store {
	return &Store{rdb: rdb, app: app, topology: topology, calls: newNodes(rdb), scripts: newScripts(prepare)}
}

func (s *Store) slotPrefix(shard int) string { return "{" + s.app + ":" + strconv.Itoa(shard) + "}:" }
func (s *Store) recordKey(shard int) string  { return s.slotPrefix(shard) + "record" }

// slotKeys are all keys of a shard: its record, its states, its lists.
func (s *Store) slotKeys(shard int) []string {
	prefix := s.slotPrefix(shard)
	keys := make([]string, 1, 1+2*buckets)
	keys[0] = prefix + "record"
	for _, kind := range []string{"state:", "aside:"} {
		for b := range buckets {
			keys = append(keys, prefix+kind+strconv.Itoa(b))
		}
	}
	return keys
}

// bucketOf is the number of the hash that holds a key's state.
func bucketOf(key string) int { return int(xxhash.Sum64String(key) % buckets) }

// markers are the record's fields that name the markers of the other hashes.
var stateMarkers, asideMarkers = markersOf("state"), markersOf("aside")

func markersOf(kind string) (fields [buckets]string) {
	for n := range fields {
		fields[n] = "m:" + kind + ":" + strconv.Itoa(n)
	}
	return fields
}

// refusal is the error of a script's answer that the slot is not to be used, or nil.
func (s *Store) refusal(shard int, answer []any) error {
	if len(answer) < 2 {
		return nil
	}
	switch answer[0] {
	case "topology":
		return s.otherTopology(shard, fmt.Sprint(answer[1]))
	case "needs":
		return fmt.Errorf("%w: %s needs format %v, this version knows format %d: upgrade this program",
			store.ErrFormat, s.recordKey(shard), answer[1], store.Format)
	case "torn":
		return &store.TornError{
			Part: fmt.Sprintf("%v does not go with %s", answer[1], s.recordKey(shard)), Markers: store.Markers(fmt.Sprint(answer[2:]...)),
		}
	}
	return nil
}

func (s *Store) otherTopology(shard int, id string) error {
	return fmt.Errorf("%w: %s is of %q, the log is of %q: use the Redis that goes with this NATS, or an empty one (it is filled from the log)",
		store.ErrTopology, s.recordKey(shard), id, s.topology)
}
