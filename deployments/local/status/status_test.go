package status

import (
	"errors"
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
			{ID: "a", Name: "worker-1", PausedMS: 4200, PausedBy: "load", Shards: []query.ShardStatus{
				{Shard: 0, Fence: 8, State: "stopping"}, {Shard: 2, Fence: 3, Epoch: 2, Seq: 5, State: query.StatePaused},
			}},
		},
		Foreign: []topology.ForeignStream{{Stream: "ARCHIVE", Takes: "shop.in.>"}},
	}
	var out strings.Builder
	require.NoError(t, r.Print(&out))
	require.Equal(t, `app shop, epoch 2: 4 shards on 1 lane

shard  owner     fence  position  lag  state
0      worker-2  9      2:31      3    running
1      -         7      2:20      0    nobody owns it
2      worker-1  3      2:5       ?    paused
3      -         4      1:8       ?    nobody owns it

member    shards  id  new events
worker-1  2       a   paused for 4.2s more by load
worker-2  1       b   taken

warning: stream ARCHIVE stores and acknowledges shop.in.>, though it is not the log: give it other subjects, or let it mirror the log
`, out.String())
}

// What cannot be read is reported beside everything that can.
func TestPrintTellsWhatIsKnown(t *testing.T) {
	running := []query.Worker{{ID: "a", Name: "worker-1", Shards: []query.ShardStatus{
		{Shard: 0, Fence: 8, Epoch: 1, Seq: 4, Lag: 2, State: "running"}, {Shard: 2, Fence: 3, Epoch: 1, Seq: 5, State: "stopped: no log"},
	}}}
	for name, c := range map[string]struct {
		r    Report
		want string
	}{
		"no topology": {Report{App: "shop", Workers: running, Positions: []query.Position{{Shard: 0, Fence: 8, Epoch: 1, Seq: 4}, {Shard: 1}},
			Faults: []error{errors.New("read the topology: no topology")}}, `app shop, whose topology is not known

shard  owner     fence  position  lag  state
0      worker-1  8      1:4       2    running
1      -         0      0:0       ?    nobody owns it
2      worker-1  3      1:5       0    stopped: no log

member    shards  id  new events
worker-1  2       a   taken

not known: read the topology: no topology
`},
		"one record": {Report{App: "shop", Epoch: topology.Epoch{Epoch: 1, Shards: 2, Lanes: 1}, Ends: []uint64{0, 9}, Workers: running[:0],
			Positions: []query.Position{{Shard: 0}, {Shard: 1, Error: "read shop:shard:1: WRONGTYPE"}}, Faults: []error{errors.New("ask the workers: none")}},
			`app shop, epoch 1: 2 shards on 1 lane

shard  owner  fence  position  lag  state
0      -      0      0:0       ?    ?
1      -      ?      ?         ?    ?; read shop:shard:1: WRONGTYPE

member  shards  id  new events

not known: ask the workers: none
`},
		"a topology that only one worker follows": {Report{App: "shop", Workers: append([]query.Worker{
			{ID: "c", Name: "worker-3", Away: "it needs format 2"}, {ID: "b", Name: "worker-2", Away: "it needs format 2"}}, running...),
			Faults: []error{errors.New("read the topology: it needs format 2")}}, `app shop, whose topology is not known

shard  owner     fence  position  lag  state
0      worker-1  8      1:4       2    running
1      -         ?      ?         ?    nobody owns it
2      worker-1  3      1:5       0    stopped: no log

member    shards  id  new events
worker-1  2       a   taken
worker-2  0       b   none: it may own no shards
worker-3  0       c   none: it may own no shards

warning: worker-2, worker-3 may own no shards: it needs format 2

not known: read the topology: it needs format 2
`},
		"all paused": {Report{App: "shop", Epoch: topology.Epoch{Epoch: 1, Shards: 1, Lanes: 1}, Workers: []query.Worker{{
			ID: "a", Name: "one", PausedMS: 1000, PausedBy: "x",
			Shards: []query.ShardStatus{{Fence: 1, Epoch: 1, Seq: 2, State: query.StatePaused}}}}}, `app shop, epoch 1: 1 shard on 1 lane

every worker is paused: no shard takes new events

shard  owner  fence  position  lag  state
0      one    1      1:2       ?    paused

member  shards  id  new events
one     1       a   paused for 1s more by x
`},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			require.NoError(t, c.r.Print(&out))
			require.Equal(t, c.want, out.String())
		})
	}
}
