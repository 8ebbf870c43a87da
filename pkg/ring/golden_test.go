package ring

import (
	"encoding/binary"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/stretchr/testify/require"
)

// The golden vectors. A change here maps keys to other shards than the logs and
// stores of earlier releases do: it breaks every running app. They were computed by
// another program too, with an xxhash64 of its own and a plain search of sorted points.

func TestGoldenPoints(t *testing.T) {
	for _, c := range []struct {
		shard, node int
		want        uint64
	}{
		{0, 0, 0x8f36a0da00000000},
		{0, 1, 0xbd13838800000000},
		{1, 0, 0x65a3c18300000001},
		{7, 2047, 0x24d1ace800000007},
		{65535, 42, 0xa3acac790000ffff},
	} {
		require.Equalf(t, c.want, point(salt, c.shard, c.node), "%d/%d got %#x", c.shard, c.node, point(salt, c.shard, c.node))
	}
}

func TestGoldenShards(t *testing.T) {
	rings := map[int]*Ring{}
	for _, n := range []int{2, 3, 16, 17} {
		rings[n] = build(t, count(n))
	}
	for _, c := range []struct {
		key  string
		want map[int]int // number of shards -> shard
	}{
		{"", map[int]int{2: 1, 3: 1, 16: 5, 17: 5}},
		{"a", map[int]int{2: 0, 3: 2, 16: 15, 17: 15}},
		{"alice", map[int]int{2: 1, 3: 2, 16: 12, 17: 12}},
		{"order-1042", map[int]int{2: 1, 3: 1, 16: 12, 17: 12}},
		{"user:7:cart", map[int]int{2: 0, 3: 2, 16: 7, 17: 7}},
		{"ключ", map[int]int{2: 0, 3: 0, 16: 9, 17: 9}},
		{"0123456789abcdef0123456789abcdef", map[int]int{2: 0, 3: 0, 16: 8, 17: 8}},
	} {
		got := map[int]int{}
		for n, r := range rings {
			got[n] = r.Shard(c.key)
		}
		require.Equal(t, c.want, got, c.key)
	}
}

// digests of the shards of key-0 to key-999999, each as 2 bytes big-endian.
var goldenDigests = map[int]uint64{
	1:   0x551e122fd774c90e,
	2:   0xe20a36c6c940a73c,
	16:  0x7b19c3d8dd596c3d,
	17:  0x977c4d43bd38962c,
	256: 0xdfbb40d12efe2285,
}

func digest(r *Ring) uint64 {
	d := xxhash.New()
	var b [2]byte
	for i := range 1_000_000 {
		binary.BigEndian.PutUint16(b[:], uint16(r.Shard("key-"+strconv.Itoa(i))))
		_, _ = d.Write(b[:])
	}
	return d.Sum64()
}

func TestGoldenDigests(t *testing.T) {
	for n, want := range goldenDigests {
		require.Equalf(t, want, digest(build(t, count(n))), "%d shards", n)
	}
}

// TestSameInAnotherProcess runs this test binary again: nothing of the answers may
// hang on one process's map order, seeds or addresses.
func TestSameInAnotherProcess(t *testing.T) {
	const child = "TEST_RING_CHILD"
	shards := []int{11, 3, 65535, 0, 42}
	if os.Getenv(child) != "" {
		_, _ = os.Stdout.WriteString("digest=" + strconv.FormatUint(digest(build(t, shards)), 16) + "\n")
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestSameInAnotherProcess$")
	cmd.Env = append(os.Environ(), child+"=1")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Contains(t, string(out), "digest="+strconv.FormatUint(digest(build(t, shards)), 16)+"\n")
}
