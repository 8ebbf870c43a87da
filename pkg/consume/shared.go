package consume

import (
	"sync"
	"sync/atomic"
	"time"

	"example.com/lockstep/pkg/store"
	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// shared holds what the owners of a worker's shards have in common: settings, connections, bounds, metrics.
type shared struct {
	cfg      Config
	nc       *nats.Conn
	js       jetstream.JetStream
	topology topology.Topology
	kv       jetstream.KeyValue               // the topology's
	owns     func(shard int, key []byte) bool // by the ring
	store    store.Store
	waits    waits

	places    *places
	givenUp   givenUp
	owners    owners
	caches    budget // of all shards' states
	rounds    budget // of all shards' rounds
	statuses  statuses
	pauses    *pauses
	fitness   *fitness
	outages   outages
	receipts  *receipts
	metrics   *metrics
	suspicion suspicion
	foreign   foreignLog
	closing   sync.WaitGroup // until the feeds are closed
	feeds     *sharedFeeds

	reconnects atomic.Int64 // to the store
}

// waits are the times that owners and the worker wait. Tests make them shorter.
type waits struct {
	idle    time.Duration // until a shard that commits nothing looks whether its version is still the store's
	tip     time.Duration // until a shard that is at the log's tip asks to share a feed
	share   time.Duration // for more such changes, until a shared feed is opened
	place   time.Duration // for the message at the position to arrive
	stopped time.Duration // until a stopped shard looks whether log and store fit together again

	handover time.Duration // until a shard that is on its way between two workers counts as stuck
	count    time.Duration // between two counts of the backlogs of shards that do not run
	look     time.Duration // between two looks whether the store is still suitable
	token    time.Duration // until another member is asked again whether it uses the same store
}

var defaultWaits = waits{
	idle: time.Second, tip: 200 * time.Millisecond, share: 100 * time.Millisecond, place: 5 * time.Second, stopped: 5 * time.Second,
	handover: handoverTime, count: 5 * time.Second, look: time.Minute, token: time.Second,
}
