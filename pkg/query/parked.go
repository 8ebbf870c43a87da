package query

import "time"

// List tells of the events of one key that wait because the first of them failed.
type List struct {
	Key      string    `json:"key"`
	Shard    int       `json:"shard"`
	Status   string    `json:"status"` // "retrying"; "running": the first attempt has not ended; StatusParked
	Count    uint64    `json:"count"`  // events that wait
	Bytes    uint64    `json:"bytes"`  // of the events, as they are stored
	First    string    `json:"first"`  // id of the first event
	Last     string    `json:"last"`   // id of the last event
	Attempts uint64    `json:"attempts"`
	Error    string    `json:"error,omitempty"` // of the newest attempt
	Began    time.Time `json:"began,omitzero"`  // of the first attempt that failed
	Tried    time.Time `json:"tried,omitzero"`  // the newest attempt's end
	// Order is the operator's command that is being carried out, if there is one, and Ordered how many of the events it is about.
	Order   string `json:"order,omitempty"`
	Ordered uint64 `json:"ordered,omitempty"`

	index uint64 // of the first event
}

// StatusParked is the status of a list that waits for an operator.
const StatusParked = "parked"

// WaitingEvent is an event of a List.
type WaitingEvent struct {
	Index   uint64            `json:"index"` // in its list: grows by one from event to event
	ID      string            `json:"id"`
	Type    string            `json:"type,omitempty"`
	Data    []byte            `json:"data"` // base64 in JSON
	Headers map[string]string `json:"headers,omitempty"`
	Time    time.Time         `json:"time"` // the log's
	Receipt bool              `json:"receipt,omitempty"`
}

// Endpoints below <app>.ctl. One of all workers answers the first two; to the others the shard's owner answers alone.
const (
	listsEndpoint  = "parked.list"
	eventsEndpoint = "parked.show"
	raiseEndpoint  = "parked.raise"
	dropEndpoint   = "parked.drop"
)

// Bounds on one answer, beside what a message holds.
const (
	maxLists      = 500
	maxListsTime  = 2 * time.Second // then an answer has no further list
	maxEventsRead = 1000
)

// listsRequest is the body of <app>.ctl.parked.list.
type listsRequest struct {
	Shard int    `json:"shard"`
	After string `json:"after,omitempty"` // a key: lists of the keys behind it, in the order of their bytes
}

// listsReply is its answer.
type listsReply struct {
	Shards int    `json:"shards"` // of the app
	Lists  []List `json:"lists"`  // by key
	Next   string `json:"next"`   // more may follow: ask for those after this key; "": there are none
}

// eventsRequest is the body of <app>.ctl.parked.show.
type eventsRequest struct {
	Key  string `json:"key"`
	From uint64 `json:"from,omitempty"` // index of the first event wanted
}

// eventsReply is its answer.
type eventsReply struct {
	List   *List          `json:"list"` // null: no events of the key wait
	Events []WaitingEvent `json:"events,omitempty"`
	More   bool           `json:"more,omitempty"` // more events follow: ask for those from the next index on
}

// raiseRequest is the body of <app>.ctl.parked.raise, and its answer with the caps that are in force then.
type raiseRequest struct {
	Shard  int    `json:"shard"`
	Keys   uint64 `json:"keys,omitempty"`   // 0: as before
	Events uint64 `json:"events,omitempty"` // 0: as before
}

// dropRequest is the body of <app>.ctl.parked.drop. Its answer is empty.
type dropRequest struct {
	Key   string `json:"key"`
	First string `json:"first"`
	Last  string `json:"last"`
	Count uint64 `json:"count"`
}
