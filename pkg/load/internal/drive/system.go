package drive

import (
	"context"
	"errors"
	"time"

	"example.com/lockstep/pkg/load/internal/expect"
	"example.com/lockstep/pkg/publish"
)

// System is what a load runs against.
type System interface {
	// Open starts a publisher that reports to the two functions.
	Open(ctx context.Context, cfg Config, onResolve func(tag uint64, err error), onReceipt func(tag uint64)) (Publisher, error)
	// Layout returns the shards as they are now.
	Layout(ctx context.Context) (Layout, error)
	// Ends returns the last stream sequence of each shard of the layout.
	Ends(ctx context.Context, l Layout) ([]uint64, error)
	// Positions returns how far the shards have been committed.
	Positions(ctx context.Context) ([]Position, error)
	// States returns what the owner of each shard says of it, as in running. A shard
	// without an owner is not in it.
	States(ctx context.Context) (map[int]string, error)
	// Owners tells of every change of a shard's owner, by the name of the worker,
	// until stop is called.
	Owners(ctx context.Context, changed func(shard int, worker string)) (stop func(), err error)
	// Pause has every worker take no events for a time; 0 lets them go on. It
	// returns an error if no worker has heard it.
	Pause(ctx context.Context, d time.Duration) error
	// Stored returns what the store holds for each key, in the order given.
	Stored(ctx context.Context, keys []string) ([]Stored, error)
	// Waiting calls take with the payloads of the events in a key's list, in order. It returns take's error as it is or wrapped,
	// or ErrListChanged, wrapped, if the list was worked off meanwhile.
	Waiting(ctx context.Context, key string, take func(payload []byte) error) error
}

// Publisher is the part of publish.Publisher that a load uses.
type Publisher interface {
	Publish(context.Context, publish.Event) (*publish.Handle, error)
	WaitRoom(ctx context.Context) error
	Flush(ctx context.Context) error
	Stop(ctx context.Context) error
}

// Layout is one epoch's set of shards, numbered from 0.
type Layout struct {
	Epoch   uint64
	Shards  int
	ShardOf func(key string) int
}

// Position is how far one shard has been committed.
type Position struct {
	Shard      int
	Epoch, Seq uint64
}

// Stored is what the store holds for one key, or why that cannot be told.
type Stored struct {
	expect.State
	Data []byte // the state, as the application's codec has encoded it
	Err  error
}

// ErrListChanged says that a list was worked off while it was read.
var ErrListChanged = errors.New("the list has changed while it was read")

// maxStored is how many keys one call of Stored may ask for.
const maxStored = 1000
