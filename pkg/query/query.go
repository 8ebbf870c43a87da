// Package query lets clients ask workers over NATS: for stored states, for positions, for the workers' status, to pause, and about
// parked keys. States, positions and what waits are read from the store, never from a cache. Bodies are JSON, so that `nats req` works too.
package query

import "time"

// MaxKeys is how many keys one request may name.
const MaxKeys = 1000

// State is the stored state of a key, with the proof of the events that made it.
type State struct {
	Key     string `json:"key"`
	Found   bool   `json:"found"`
	Count   uint64 `json:"count,omitempty"`   // events applied to the key, counted from where its state began
	Chain   string `json:"chain,omitempty"`   // of their payloads: 16 hexadecimal digits
	Dropped uint64 `json:"dropped,omitempty"` // events of the key that were given up by the handler or an operator
	Codec   uint64 `json:"codec,omitempty"`   // 1: JSON
	Schema  uint64 `json:"schema,omitempty"`  // of the application's type
	Data    []byte `json:"data,omitempty"`    // as its codec encodes it; base64 in JSON

	// SetAside is how many events of the key wait in its list, whether it has a state or not. Parked: they wait for an operator.
	SetAside uint64 `json:"set_aside,omitempty"`
	Parked   bool   `json:"parked,omitempty"`
}

// Position is how far a shard has been committed.
type Position struct {
	Shard int       `json:"shard"`
	Fence uint64    `json:"fence"` // 0: no worker has owned it yet
	Epoch uint64    `json:"epoch"`
	Seq   uint64    `json:"seq"` // in the shard's stream; 0: nothing yet
	Time  time.Time `json:"time"`
	Error string    `json:"error,omitempty"` // why it cannot be read; the rest is then 0
}

// Worker is a worker's status.
type Worker struct {
	ID     string        `json:"id"`
	Name   string        `json:"name"`
	Shards []ShardStatus `json:"shards"`
	// PausedMS is the rest of the worker's pause in milliseconds, rounded up; 0: it is not paused.
	PausedMS int64  `json:"paused_ms,omitempty"`
	PausedBy string `json:"paused_by,omitempty"` // name of the client that asked for the pause, if known
	// Away is why the worker owns no shards and answers no query of states: it cannot follow the topology; "": it can.
	Away string `json:"away,omitempty"`
}

// StatePaused is the state of a shard that takes nothing because its worker is paused.
const StatePaused = "paused"

// ShardStatus is a shard's status, from its owner.
type ShardStatus struct {
	Shard int    `json:"shard"`
	Fence uint64 `json:"fence"`
	Epoch uint64 `json:"epoch"`
	Seq   uint64 `json:"seq"`   // committed
	Lag   uint64 `json:"lag"`   // messages behind it in the log, counted every few seconds while the shard does not run
	State string `json:"state"` // "running", StatePaused, or another activity in words
	// AtCap: the shard takes nothing from its log, as it has set aside as much as it may.
	AtCap bool `json:"at_cap,omitempty"`
}

// request is the body of <app>.ctl.query.
type request struct {
	Keys      []string `json:"keys,omitempty"`
	Positions bool     `json:"positions,omitempty"`
}

// reply is its answer.
type reply struct {
	States    []State    `json:"states,omitempty"`
	Positions []Position `json:"positions,omitempty"`
}

// Codes of errors that a client acts on.
const (
	codeTooLarge = "413" // the answer does not fit one message: ask for fewer keys
	codeStopping = "503" // the worker that got the request is stopping, or may not answer: ask another one
)

// anySuffix is behind the name of an endpoint where every worker answers what else one of them does.
const anySuffix = ".any"
