package query

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/lockstep/pkg/internal/golden"
)

// Programs of one version ask workers of another: loads for states and positions, operators for the lists of parked keys.
func TestGoldenBodies(t *testing.T) {
	at := time.Date(2026, 11, 29, 1, 2, 3, 4, time.UTC)
	millis := int64(1500)
	list := List{
		Key: "alice", Shard: 7, Status: StatusParked, Count: 3, Bytes: 70, First: "id-1", Last: "id-3", Attempts: 5, Error: "no amount",
		Began: at, Tried: at, Order: "retry", Ordered: 2,
	}
	requireGolden(t, "query-request.json", request{Keys: []string{"alice"}, Positions: true})
	requireGolden(t, "query-reply.json", reply{
		States: []State{
			{Key: "alice", Found: true, Count: 3, Chain: "00000000000000ff", Dropped: 1, Codec: 1, Schema: 2, Data: []byte("{}"), SetAside: 3, Parked: true},
			{Key: "bob"},
		},
		Positions: []Position{{Shard: 7, Fence: 12, Epoch: 1, Seq: 77, Time: at}, {Shard: 8, Error: "needs format 9"}},
	})
	requireGolden(t, "status-reply.json", Worker{
		ID: "0123abcd", Name: "worker-1", PausedMS: 1500, PausedBy: "load", Away: "no topology",
		Shards: []ShardStatus{{Shard: 7, Fence: 12, Epoch: 1, Seq: 77, Lag: 3, State: "running", AtCap: true}},
	})
	requireGolden(t, "pause-request.json", pauseRequest{ForMS: &millis, By: "load"})
	requireGolden(t, "parked-list-request.json", listsRequest{Shard: 7, After: "alice"})
	requireGolden(t, "parked-list-reply.json", listsReply{Shards: 16, Lists: []List{list}, Next: "bob"})
	requireGolden(t, "parked-show-request.json", eventsRequest{Key: "alice", From: 3})
	requireGolden(t, "parked-show-reply.json", eventsReply{
		List: &list, More: true,
		Events: []WaitingEvent{{Index: 3, ID: "id-1", Type: "deposit", Data: []byte("5"), Headers: map[string]string{"a": "1"}, Time: at, Receipt: true}},
	})
	requireGolden(t, "parked-raise.json", raiseRequest{Shard: 7, Keys: 20_000, Events: 5_000_000})
	requireGolden(t, "parked-drop-request.json", dropRequest{Key: "alice", First: "id-1", Last: "id-3", Count: 3})
	requireGolden(t, "stored.json", Stored{Stream: "SHOP_1_0", Seq: 77})
}

func requireGolden[T any](t *testing.T, name string, want T) {
	t.Helper()
	today, err := json.Marshal(want)
	require.NoError(t, err)
	var got T
	require.NoError(t, json.Unmarshal(golden.Check(t, name, today), &got))
	require.Equal(t, want, got)
}
