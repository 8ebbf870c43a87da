package loadtest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// patience bounds every wait in these tests, and how long a load may take.
const patience = time.Minute

// program is one of ours as a process. What it says are the lines of its standard error, and of its standard output if
// that was given no other place.
type program struct {
	t    *testing.T
	cmd  *exec.Cmd
	says *bufio.Scanner
	seen []string
	end  *time.Timer // kills it
}

// start starts a program, which is killed when patience runs out or the test ends.
func start(t *testing.T, cmd *exec.Cmd) *program {
	t.Helper()
	pipe, err := cmd.StderrPipe()
	require.NoError(t, err)
	if cmd.Stdout == nil {
		cmd.Stdout = cmd.Stderr
	}
	require.NoError(t, cmd.Start())
	end := time.AfterFunc(patience, func() { cmd.Process.Kill() })
	t.Cleanup(func() {
		end.Stop()
		cmd.Process.Kill()
		cmd.Wait()
	})
	return &program{t: t, cmd: cmd, says: bufio.NewScanner(pipe), end: end}
}

func (p *program) next() bool {
	if !p.says.Scan() {
		return false
	}
	p.seen = append(p.seen, p.says.Text())
	return true
}

// await reads until a line holds text.
func (p *program) await(text string) {
	p.t.Helper()
	for p.next() {
		if strings.Contains(p.says.Text(), text) {
			return
		}
	}
	require.FailNow(p.t, "ended without saying "+text, strings.Join(p.seen, "\n"))
}

func (p *program) signal(sig os.Signal) {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(sig))
}

// exitCode reads the rest of what is said, by the program or by one that it started, and waits for the end.
func (p *program) exitCode() int {
	for p.next() {
	}
	p.cmd.Wait()
	return p.cmd.ProcessState.ExitCode()
}

// load is a `producer load` that runs.
type load struct {
	*program
	dir string // of its report, and nothing else
	out bytes.Buffer
}

// sending is in the lines that a load says while it sends.
const sending = "  sent "

// load starts a load on the stack. Its working directory is where its report goes.
func (s *stack) load(t *testing.T, flags ...string) *load {
	t.Helper()
	l := &load{dir: t.TempDir()}
	cmd := exec.Command(filepath.Join(s.programs, "producer"), append([]string{"load", "--stack=" + s.dir}, flags...)...)
	cmd.Dir, cmd.Stdout = l.dir, &l.out
	l.program = start(t, cmd)
	return l
}

// left returns what the load has left in its directory.
func (l *load) left() (names []string) {
	l.t.Helper()
	entries, err := os.ReadDir(l.dir)
	require.NoError(l.t, err)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// ended waits for the load's end with an exit code, and returns its report.
func (l *load) ended(code int) report {
	l.t.Helper()
	require.Equal(l.t, code, l.exitCode(), "%s\n%s", strings.Join(l.seen, "\n"), &l.out)
	require.Equal(l.t, []string{"report.html", "report.json"}, l.left())
	body, err := os.ReadFile(filepath.Join(l.dir, "report.json"))
	require.NoError(l.t, err)
	var r report
	require.NoError(l.t, json.Unmarshal(body, &r))
	require.Contains(l.t, l.out.String(), "\nverdict: "+r.Verdict+"\n")
	return r
}

// passed waits for the load's end with the verdict pass, and returns its report.
func (l *load) passed() report {
	l.t.Helper()
	r := l.ended(0)
	require.Equal(l.t, "pass", r.Verdict)
	require.Empty(l.t, r.Violations)
	require.NotZero(l.t, r.Sent)
	require.Equal(l.t, r.Sent, r.Acked)
	require.Equal(l.t, r.Sent, r.Applied)
	return r
}

// aborted waits for the end of a load that reports nothing.
func (l *load) aborted() {
	l.t.Helper()
	require.Equal(l.t, 1, l.exitCode())
	require.Equal(l.t, "producer: aborted, nothing was verified", l.seen[len(l.seen)-1])
	require.Empty(l.t, l.out.String())
	require.Empty(l.t, l.left())
}

func (l *load) interrupt() {
	l.t.Helper()
	l.signal(syscall.SIGINT)
}

// report is what these tests ask of report.json.
type report struct {
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
	Lost        uint64 `json:"lost"`
	Duplicated  uint64 `json:"duplicated"`
	Reordered   uint64 `json:"reordered"`
	UnknownKeys uint64 `json:"unknown_keys"`
	LatencyMS   struct {
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
		Trials []trial `json:"trials"`
	} `json:"find_max"`
	Shards []struct {
		Events uint64 `json:"events"`
	} `json:"shards"`
	Pauses struct {
		Longest []pause `json:"longest"`
	} `json:"pauses"`
	Timeline struct {
		IntervalSeconds float64 `json:"interval_seconds"`
		Points          []struct {
			At         float64 `json:"at"`
			ApplyMaxMS float64 `json:"apply_max_ms"`
		} `json:"points"`
	} `json:"timeline"`
}

type trial struct {
	Rate uint64 `json:"rate"`
	Held bool   `json:"held"`
	Why  string `json:"why"`
}

type pause struct {
	Shard   int     `json:"shard"`
	From    float64 `json:"from"`
	Seconds float64 `json:"seconds"`
}
