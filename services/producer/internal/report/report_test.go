package report

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/lockstep/services/producer/internal/expect"
	"example.com/lockstep/services/producer/internal/latency"
)

func sample(tally *expect.Tally) Report {
	return New(Config{App: "lockstep", Run: "ab12", Rate: "20000", Duration: "10s", Keys: 10, Distribution: "uniform", Size: 128, Seed: 1, Receipts: 1, Shards: 16},
		Traffic{
			Sent: 1000, Acked: 990, Failed: 10, Receipts: 990, ReceiptsAsked: 1000,
			LastAck: time.Second, LastReceipt: 2 * time.Second,
			Latency: Latency{Ack: latency.Summary{P50: 0.5}, Apply: latency.Summary{Max: 12.25}},
		}, tally)
}

func TestReportHasTheFieldsPromised(t *testing.T) {
	tally := &expect.Tally{Applied: 990}
	dir := t.TempDir()
	path := filepath.Join(dir, "report.json")
	f, err := CreateFile(path)
	require.NoError(t, err)
	require.NoFileExists(t, path, "not before the end")
	require.NoError(t, f.Write(sample(tally)))
	f.Discard()

	body, err := os.ReadFile(path)
	require.NoError(t, err)
	var got map[string]any
	require.NoError(t, json.Unmarshal(body, &got))
	var fields []string
	for k := range got {
		fields = append(fields, k)
	}
	require.ElementsMatch(t, strings.Fields(`schema config sent acked failed applied lost duplicated reordered
		unknown_keys receipts receipts_asked acked_per_second applied_per_second latency_ms verdict violations`), fields)
	require.Equal(t, Pass, got["verdict"])
	require.Equal(t, "uniform", got["config"].(map[string]any)["distribution"])
	require.Equal(t, []any{}, got["violations"])
	require.Equal(t, 990.0, got["acked_per_second"])
	require.Equal(t, 495.0, got["applied_per_second"])
	require.Equal(t, map[string]any{"p50": 0.5, "p90": 0.0, "p99": 0.0, "p999": 0.0, "max": 0.0}, got["latency_ms"].(map[string]any)["ack"])

	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 1, "no temporary file stays")
}

func TestVerdictFails(t *testing.T) {
	broken := &expect.Tally{}
	broken.Violate("shard 3 stands at 1 of 2")
	require.Equal(t, Fail, sample(broken).Verdict)

	nothing := New(Config{}, Traffic{Sent: 5, Failed: 5}, &expect.Tally{})
	require.Equal(t, Fail, nothing.Verdict)
	require.Zero(t, nothing.AppliedPerSecond)
	require.Contains(t, nothing.Violations[0], "nothing was acknowledged")
}

func TestFileIsRefusedEarly(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{dir, filepath.Join(dir, "absent", "report.json"), "/proc/report.json"} {
		_, err := CreateFile(path)
		require.ErrorContains(t, err, "cannot write the report to "+path)
		require.NotContains(t, err.Error(), ".tmp", "the user knows nothing of our temporary file")
	}
	f, err := CreateFile(filepath.Join(dir, "report.json"))
	require.NoError(t, err)
	f.Discard()
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestTableEndsWithTheVerdict(t *testing.T) {
	tally := &expect.Tally{Applied: 989}
	tally.Add("load-ab12-3", expect.Account{}, expect.Finding{Kind: expect.Lost, Events: 1, Detail: "0 of 1 events applied"})
	var out strings.Builder
	require.NoError(t, sample(tally).WriteTable(&out))
	require.Equal(t, `run ab12: rate 20000 for 10s, 10 keys (uniform), 128 bytes, 16 shards, seed 1

            events  per second
      sent    1000            
     acked     990         990
    failed      10            
   applied     989         495
  receipts     990     of 1000

  latency ms   p50   p90   p99  p99.9    max
         ack  0.50  0.00  0.00   0.00   0.00
       apply  0.00  0.00  0.00   0.00  12.25

lost 1, duplicated 0, reordered 0, unknown keys 0
  lost: key load-ab12-3: 0 of 1 events applied
verdict: fail
`, out.String())
}

func TestInterruptedIsSaid(t *testing.T) {
	r := New(Config{Duration: "10s"}, Traffic{Acked: 1, Interrupted: 3140 * time.Millisecond}, &expect.Tally{})
	body, err := json.Marshal(r)
	require.NoError(t, err)
	require.Contains(t, string(body), `"interrupted":true`)
	var out strings.Builder
	require.NoError(t, r.WriteTable(&out))
	require.Contains(t, out.String(), "\ninterrupted after 3.1s of 10s\n\n")
}
