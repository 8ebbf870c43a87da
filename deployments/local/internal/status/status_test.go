package status

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/lockstep/pkg/query"
	"example.com/lockstep/pkg/topology"
)

func TestPrint(t *testing.T) {
	r := Report{
		App:   "shop",
		Epoch: topology.Epoch{Epoch: 2, Shards: 4, Lanes: 1},
		Positions: []query.Position{
			{Shard: 1, Fence: 7, Epoch: 2, Seq: 20}, {Shard: 0, Fence: 9, Epoch: 2, Seq: 31},
			{Shard: 2, Fence: 3, Epoch: 2, Seq: 5}, {Shard: 3, Fence: 4, Epoch: 1, Seq: 8},
		},
		Ends: []uint64{40, 20, 9, 0},
		Workers: []query.Worker{
			{ID: "b", Name: "worker-2", Shards: []query.ShardStatus{{Shard: 0, Fence: 9, Epoch: 2, Seq: 31, Lag: 3, State: "running"}}},
			{ID: "a", Name: "worker-1", PausedMS: 4200, Shards: []query.ShardStatus{
				{Shard: 0, Fence: 8, State: "stopping"}, {Shard: 2, Fence: 3, Epoch: 2, Seq: 5, State: query.StatePaused},
			}},
		},
	}
	var out strings.Builder
	require.NoError(t, r.Print(&out))
	require.Equal(t, `app shop, epoch 2: 4 shards on 1 lane

shard  owner     fence  position  lag  state
0      worker-2  9      2:31      3    running
1      -         7      2:20      0    nobody owns it
2      worker-1  3      2:5       ?    paused
3      -         4      1:8       ?    nobody owns it

member    shards  id  intake
worker-1  2       a   paused for 4.2s more
worker-2  1       b   open
`, out.String())
}
