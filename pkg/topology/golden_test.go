package topology

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/lockstep/pkg/internal/golden"
)

var goldenTopology = Topology{
	Schema: 2, Needs: 1, ID: "000102030405060708090a0b0c0d0e0f", Created: time.Date(2026, 11, 29, 1, 2, 3, 4, time.UTC), Ready: true,
	Epochs: []Epoch{{Epoch: 1, Shards: 16, Lanes: 1, Ended: true}, {Epoch: 2, Shards: 64, Lanes: 4}},
	Log:    Log{Replicas: 3, MaxBytes: 1 << 32, HistoryAge: time.Hour, HistoryBytes: 1 << 30},
}

// An app's topology outlives the router that wrote it.
func TestGoldenTopology(t *testing.T) {
	got, err := Decode(golden.Check(t, "topology.json", encode(goldenTopology)))
	require.NoError(t, err)
	require.Equal(t, goldenTopology, got)
}

// The copy that each stream keeps of its topology, from which a deleted entry is written again.
func TestGoldenStreamMetadata(t *testing.T) {
	cfg := streamConfig("shop", goldenTopology, goldenTopology.Epochs[1], 3)
	today, err := json.Marshal(cfg.Metadata)
	require.NoError(t, err)
	kept := golden.Check(t, "stream-metadata.json", today)
	cfg.Metadata = nil
	require.NoError(t, json.Unmarshal(kept, &cfg.Metadata))
	require.Equal(t, goldenTopology.ID, StreamOwner(cfg))
	got, err := Decode([]byte(cfg.Metadata[metadataEntry]))
	require.NoError(t, err)
	require.Equal(t, goldenTopology, got)
}

func TestGoldenPurged(t *testing.T) {
	want := Purged{First: 1001, Shards: map[int]uint64{0: 990, 11: 1000}}.after(Purged{})
	today, err := json.Marshal(want)
	require.NoError(t, err)
	got, err := decodePurged(golden.Check(t, "purged.json", today))
	require.NoError(t, err)
	require.Equal(t, want, got)
}

func TestGoldenCaps(t *testing.T) {
	want := Caps{Keys: 20_000, Events: 5_000_000}
	got, err := ParseCaps(string(golden.Check(t, "caps.json", []byte(want.String()))))
	require.NoError(t, err)
	require.Equal(t, want, got)
}

// The names by which programs of all versions find one another.
func TestGoldenNames(t *testing.T) {
	const app = "shop"
	golden.Check(t, "names.txt", []byte(strings.Join([]string{
		StreamName(app, 2, 3), WorkSubject(app, 2, 3, 7), FrameSubject(app), RouterSubject(app, "r1"), EventSubject(app), CommandSubject(app),
		ControlSubject(app, "query"), NoticeSubject(app, "parked"), ReceiptSubject(app, "00ff"),
		Bucket(app, "topology"), Bucket(app, "members"), Bucket(app, "claims"),
		topologyKey, PermitKey("r1"), purgedKey(2, 3), capsKey(7),
	}, "\n")))
}
