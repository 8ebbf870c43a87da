package report

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/lockstep/pkg/load/internal/measure"
)

// sample is a report of 1000 events, of which 10 failed.
func sample(change func(*measure.Run)) Report {
	r := measure.New()
	r.Sent, r.Acked, r.Failed, r.Receipts, r.ReceiptsAsked, r.Applied = 1000, 990, 10, 990, 1000, 990
	r.Sending, r.LastAck, r.LastReceipt = time.Second, time.Second, 2*time.Second
	r.Ack.Record(500 * time.Microsecond)
	r.Apply.Record(12250 * time.Microsecond)
	if change != nil {
		change(r)
	}
	return New(Config{App: "app", Run: "ab12", Rate: "20000", Duration: "10s", Keys: 10, Distribution: "uniform", Payload: "128 random bytes", Seed: 1, Receipts: 1, Shards: 16, Producers: 1}, r)
}

func TestReportHasTheFieldsPromised(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "report.json")
	f, err := CreateFiles(path)
	require.NoError(t, err)
	require.NoFileExists(t, path, "not before the end")
	require.NoError(t, f.Write(sample(nil)))
	f.Discard()

	body, err := os.ReadFile(path)
	require.NoError(t, err)
	var got map[string]any
	require.NoError(t, json.Unmarshal(body, &got))
	var fields []string
	for k := range got {
		fields = append(fields, k)
	}
	require.Subset(t, fields, strings.Fields(`schema config sent acked failed applied lost duplicated reordered
		unknown_keys receipts receipts_asked acked_per_second applied_per_second latency_ms verdict violations`))
	require.Equal(t, Pass, got["verdict"])
	require.Equal(t, "uniform", got["config"].(map[string]any)["distribution"])
	for _, list := range []string{"violations", "thresholds", "shards", "owners"} {
		require.Equal(t, []any{}, got[list], "a list, even if it is empty")
	}
	require.Equal(t, 990.0, got["acked_per_second"])
	require.Equal(t, 495.0, got["applied_per_second"])
	require.Equal(t, map[string]any{"p50": 0.5, "p90": 0.5, "p99": 0.5, "p999": 0.5, "max": 0.5}, got["latency_ms"].(map[string]any)["ack"])

	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 2, "the page beside it, and no temporary file")
}

func TestWarmUpIsLeftOutOfRates(t *testing.T) {
	r := sample(func(r *measure.Run) {
		r.WarmUp, r.WarmUpAcked = 500*time.Millisecond, 240
	})
	require.Equal(t, 1500.0, r.AckedPerSecond, "750 in half a second")
	require.Equal(t, 500.0, r.AppliedPerSecond, "750 in one and a half")
}

func TestVerdictFails(t *testing.T) {
	require.Equal(t, Fail, sample(func(r *measure.Run) { r.Violations = []string{"shard 3 stands at 1 of 2"} }).Verdict)

	nothing := New(Config{}, measure.New())
	require.Equal(t, Fail, nothing.Verdict)
	require.Zero(t, nothing.AppliedPerSecond)
	require.Contains(t, nothing.Violations[0], "nothing was acknowledged")
}

// What is not applied yet is no pass, and no fault either: a fault beside it counts for more.
func TestUnfinishedIsAVerdict(t *testing.T) {
	short := func(r *measure.Run) {
		r.Applied, r.Unfinished = 983, 7
		r.Short = []measure.Short{{Shard: 3, Seq: 41, End: 48, Why: "no worker that answers owns it"}}
	}
	r := sample(short)
	require.Equal(t, Unfinished, r.Verdict)
	require.Empty(t, r.Violations)
	var out strings.Builder
	require.NoError(t, r.WriteTable(&out))
	require.Contains(t, out.String(), `
lost 0, duplicated 0, reordered 0, unproven keys 0, unknown keys 0, unfinished 7
  unfinished: shard 3 has committed up to message 41 of 48: no worker that answers owns it
verdict: unfinished
`)
	require.Equal(t, Unfinished, sample(func(r *measure.Run) { r.Short = []measure.Short{{}} }).Verdict,
		"every key is right, but nobody knows what else its shard's log holds")
	require.Equal(t, Fail, sample(func(r *measure.Run) {
		short(r)
		r.Lost, r.Violations = 1, []string{"lost: one"}
	}).Verdict)
}

func TestTimelinePutsSeriesSideBySide(t *testing.T) {
	r := sample(func(r *measure.Run) {
		r.WarmUp, r.ReceiptsAsked = time.Second, 500
		r.SentOver.At(0).Add(&measure.Sent{Events: 20, MaxLag: 3 * time.Millisecond})
		r.AckedOver.At(150 * time.Millisecond).Add(&measure.Acked{Events: 10, Failed: 2})
		r.AppliedOver.At(0).Wait(40 * time.Second)
		r.AppliedOver.At(40 * time.Second).Receipts = 5
	}).Timeline
	require.Equal(t, 0.2, r.IntervalSeconds, "that of the coarsest")
	require.Equal(t, 1.0, r.WarmUpSeconds)
	require.Len(t, r.Points, 201)
	require.Equal(t, Point{SentPerSecond: 100, AckedPerSecond: 50, Failed: 2, MaxLagMS: 3, ApplyP50MS: 40_000, ApplyP99MS: 40_000, ApplyMaxMS: 40_000}, r.Points[0])
	require.Equal(t, Point{At: 40, AppliedPerSecond: 50}, r.Points[200], "every second event asked for a receipt")
}

func TestBacklogIsReckoned(t *testing.T) {
	b := sample(func(r *measure.Run) {
		r.Backlog = &measure.Backlog{Events: 600, Resumed: time.Second, Drained: 2500 * time.Millisecond}
	}).Backlog
	require.Equal(t, &Backlog{Events: 600, ResumedAt: 1, DrainSeconds: 1.5, DrainedPerSecond: 400}, b)
}

func TestFileIsRefusedEarly(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{dir, filepath.Join(dir, "absent", "report.json"), "/proc/report.json"} {
		_, err := CreateFiles(path)
		require.ErrorContains(t, err, "cannot write the report to "+path)
		require.NotContains(t, err.Error(), ".tmp", "the user knows nothing of our temporary file")
	}
	f, err := CreateFiles(filepath.Join(dir, "report.json"))
	require.NoError(t, err)
	f.Discard()
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestTableEndsWithTheVerdict(t *testing.T) {
	r := sample(func(r *measure.Run) {
		r.Applied, r.Lost, r.Overdue, r.Unsent = 989, 1, 7, 5
		r.Violations = []string{"lost: key load-ab12-3: 0 of 1 events applied"}
	})
	r.Thresholds = []Threshold{{Threshold: "apply.p99<10ms", Value: 12.25}, {Threshold: "failed<=10", Value: 10, Held: true}}
	var out strings.Builder
	require.NoError(t, r.WriteTable(&out))
	text := regexp.MustCompile(` +`).ReplaceAllString(out.String(), " ")
	for _, line := range []string{
		"run ab12: rate 20000 for 10s, 10 keys (uniform), payloads of 128 random bytes, seed 1, 16 shards\n\n",
		"\n acked 990 990\n",
		"\n behind 7 of which 5 were never sent\n",
		"\n apply 12.25 12.25 12.25 12.25 12.25\n",
		"\nlost 1, duplicated 0, reordered 0, unproven keys 0, unknown keys 0, unfinished 0\n lost: key load-ab12-3: 0 of 1 events applied\n",
		"threshold apply.p99<10ms: crossed, 12.25\nthreshold failed<=10: held, 10\n",
	} {
		require.Contains(t, text, line)
	}
	require.True(t, strings.HasSuffix(text, "\nverdict: fail\n"))
}

// What the application refuses fails a load. Dropped events and keys that were deleted do not, but the report says so.
func TestOtherFindingsAreSaid(t *testing.T) {
	r := sample(func(r *measure.Run) {
		r.Refused, r.Violations = 1, []string{"refused by Check: key load-ab12-3: overdrawn"}
		r.Deleted, r.Dropped, r.Drops = 4, 2, []string{"key load-ab12-5: 2 of 9 events dropped, so only their count was compared"}
	})
	require.Equal(t, Fail, r.Verdict)
	var out strings.Builder
	require.NoError(t, r.WriteTable(&out))
	require.Contains(t, out.String(), `
keys refused by Check 1
  refused by Check: key load-ab12-3: overdrawn
keys deleted in the end 4: their last event deletes, and nothing else of them is left to compare
dropped 2 events, by a handler or an operator
  dropped: key load-ab12-5: 2 of 9 events dropped, so only their count was compared
verdict: fail
`)
	r = sample(func(r *measure.Run) { r.Deleted, r.Dropped, r.Drops = 4, 2, []string{"key a: 2"} })
	require.Equal(t, Pass, r.Verdict)
	page := pageOf(t, r)
	require.Contains(t, page, "but for 2 events that were dropped, by a handler or an operator.")
	require.Contains(t, page, "<li>key a: 2</li>")

	body, err := json.Marshal(sample(func(*measure.Run) {}))
	require.NoError(t, err)
	for _, field := range []string{"unproven_keys", "refused_keys", "deleted_keys", "dropped", "drops"} {
		require.NotContains(t, string(body), `"`+field+`"`, "left out when there is none")
	}
}

// Events in lists are neither lost nor applied. Only those of keys that were expected to be parked let a load pass.
func TestEventsInLists(t *testing.T) {
	expected := func(r *measure.Run) {
		r.SetAside, r.SetAsideKeys, r.Parked, r.ParkedKeys, r.Expected = 7, 1, 7, 1, 1
		r.Lists = []string{"key a (parked as expected): 1 applied and 7 parked of 8 sent"}
	}
	r := sample(expected)
	require.Equal(t, Pass, r.Verdict)
	require.Contains(t, pageOf(t, r), "but for 7 events that wait in the lists of 1 parked key, as expected.")
	var out strings.Builder
	require.NoError(t, r.WriteTable(&out))
	require.Contains(t, out.String(), `
set aside 7 events of 1 key; of these 7 events of 1 parked key (1 as expected)
  list: key a (parked as expected): 1 applied and 7 parked of 8 sent
verdict: pass
`)

	r = sample(func(r *measure.Run) { expected(r); r.Expected = 0 })
	require.Equal(t, Unfinished, r.Verdict)
	require.Contains(t, pageOf(t, r), "when the load gave up waiting 7 events waited in the lists of 1 key, of which 1 were parked; 0 of these were expected.")

	r = sample(func(r *measure.Run) { expected(r); r.SetAside, r.SetAsideKeys = 9, 2 })
	require.Equal(t, Unfinished, r.Verdict)
	require.Contains(t, pageOf(t, r), "of 1 key whose first event is tried again")

	body, err := json.Marshal(sample(func(*measure.Run) {}))
	require.NoError(t, err)
	for _, field := range []string{"set_aside", "set_aside_keys", "parked", "parked_keys", "parked_as_expected_keys", "lists"} {
		require.NotContains(t, string(body), `"`+field+`"`, "left out when there is none")
	}
}

func TestInterruptedIsSaid(t *testing.T) {
	r := sample(func(r *measure.Run) { r.Interrupted, r.Sending = true, 3140*time.Millisecond })
	body, err := json.Marshal(r)
	require.NoError(t, err)
	require.Contains(t, string(body), `"interrupted":true`)
	var out strings.Builder
	require.NoError(t, r.WriteTable(&out))
	require.Contains(t, out.String(), "\ninterrupted: sending ended after 3.1 s\n\n")
}
