package programs

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// Load is a `producer load` that runs.
type Load struct {
	*Program
	Dir string // holds the report and nothing else
	Out bytes.Buffer
}

// Sending is part of each line that a load prints while it sends.
const Sending = "  sent "

// StartLoad starts a load by the producer in bin, on the stack in a directory.
func StartLoad(t *testing.T, bin, stack string, flags ...string) *Load {
	t.Helper()
	return StartLoadAs(t, LoadCommand(bin, stack, flags...))
}

// LoadCommand is the command of a load by the producer in bin, on the stack in a directory.
func LoadCommand(bin, stack string, flags ...string) *exec.Cmd {
	return exec.Command(filepath.Join(bin, "producer"), append([]string{"load", "--stack=" + stack}, flags...)...)
}

// StartLoadAs starts the command of a load, in a directory of its own for the report.
func StartLoadAs(t *testing.T, cmd *exec.Cmd) *Load {
	t.Helper()
	l := &Load{Dir: t.TempDir()}
	cmd.Dir, cmd.Stdout = l.Dir, &l.Out
	l.Program = Start(t, cmd)
	return l
}

// Left returns the names of the files that the load has left in its directory.
func (l *Load) Left() (names []string) {
	l.t.Helper()
	entries, err := os.ReadDir(l.Dir)
	require.NoError(l.t, err)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// Ended waits for the load's end with an exit code, and returns its report.
func (l *Load) Ended(code int) Report {
	l.t.Helper()
	require.Equal(l.t, code, l.ExitCode(), "%s\n%s", strings.Join(l.Seen, "\n"), &l.Out)
	require.Equal(l.t, []string{"report.html", "report.json"}, l.Left())
	body, err := os.ReadFile(filepath.Join(l.Dir, "report.json"))
	require.NoError(l.t, err)
	var r Report
	require.NoError(l.t, json.Unmarshal(body, &r))
	require.Contains(l.t, l.Out.String(), "\nverdict: "+r.Verdict+"\n")
	return r
}

// Passed waits for the load's end with the verdict pass, and returns its report.
func (l *Load) Passed() Report {
	l.t.Helper()
	r := l.Ended(0)
	require.Equal(l.t, "pass", r.Verdict)
	require.Empty(l.t, r.Violations)
	require.NotZero(l.t, r.Sent)
	require.Equal(l.t, r.Sent, r.Acked)
	require.Equal(l.t, r.Sent, r.Applied)
	return r
}

// Interrupt does what Ctrl-C does.
func (l *Load) Interrupt() {
	l.t.Helper()
	l.Signal(syscall.SIGTERM)
}

// Report is the part of report.json that the tests check.
type Report struct {
	Verdict    string   `json:"verdict"`
	Violations []string `json:"violations"`
	Thresholds []struct {
		Held bool `json:"held"`
	} `json:"thresholds"`
	Config struct {
		Producers int `json:"producers"`
		Keys      int `json:"keys"`
		InFlight  int `json:"in_flight"`
	} `json:"config"`
	Interrupted bool   `json:"interrupted"`
	Sent        uint64 `json:"sent"`
	Acked       uint64 `json:"acked"`
	Applied     uint64 `json:"applied"`
	Failed      uint64 `json:"failed"`
	Lost        uint64 `json:"lost"`
	Duplicated  uint64 `json:"duplicated"`
	Reordered   uint64 `json:"reordered"`
	Unproven    uint64 `json:"unproven_keys"`
	UnknownKeys uint64 `json:"unknown_keys"`
	Refused     uint64 `json:"refused_keys"`
	Deleted     uint64 `json:"deleted_keys"`
	Dropped     uint64 `json:"dropped"`
	SetAside    uint64 `json:"set_aside"`
	Unfinished  uint64 `json:"unfinished"`

	UnfinishedShards []struct {
		Shard int    `json:"shard"`
		Seq   uint64 `json:"seq"`
		End   uint64 `json:"end"`
		Why   string `json:"why"`
	} `json:"unfinished_shards"`
	LatencyMS struct {
		Apply struct {
			P99 float64 `json:"p99"`
		} `json:"apply"`
	} `json:"latency_ms"`
	Backlog *struct {
		Events           uint64  `json:"events"`
		DrainedPerSecond float64 `json:"drained_per_second"`
	} `json:"backlog"`
	FindMax *struct {
		Rate   uint64  `json:"rate"`
		Trials []Trial `json:"trials"`
	} `json:"find_max"`
	Shards []struct {
		Events uint64 `json:"events"`
	} `json:"shards"`
	Pauses struct {
		Longest []Pause `json:"longest"`
	} `json:"pauses"`
	Timeline struct {
		IntervalSeconds float64 `json:"interval_seconds"`
		Points          []struct {
			At         float64 `json:"at"`
			ApplyMaxMS float64 `json:"apply_max_ms"`
		} `json:"points"`
	} `json:"timeline"`
}

// Trial is one rate of a search.
type Trial struct {
	Rate uint64 `json:"rate"`
	Held bool   `json:"held"`
	Why  string `json:"why"`
}

// Pause is a time in which nothing of a shard was applied though something was due.
type Pause struct {
	Shard   int     `json:"shard"`
	From    float64 `json:"from"`
	Seconds float64 `json:"seconds"`
}
