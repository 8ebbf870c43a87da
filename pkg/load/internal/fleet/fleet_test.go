package fleet

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/lockstep/pkg/load/internal/drive"
	"example.com/lockstep/pkg/load/internal/progress"
)

func self() *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), partOf+"=1")
	return cmd
}

func tasks(runs ...string) (tasks []Task) {
	for i, run := range runs {
		tasks = append(tasks, Task{Config: drive.Config{Run: run, Part: i}})
	}
	return tasks
}

func TestPartsAreMerged(t *testing.T) {
	var out bytes.Buffer
	r, err := Run(t.Context(), t.Context(), tasks("runs", "runs", "runs"), self, func() {}, progress.Lines(&out))
	require.NoError(t, err)
	require.EqualValues(t, 30, r.Sent)
	require.EqualValues(t, 3, r.Apply.Count())
	require.Equal(t, 3*time.Second, r.Apply.Quantile(1))
	require.EqualValues(t, 3, r.AppliedOver.Points[0].Waits.Count())
	require.EqualValues(t, 3, r.Shards[0].Keys)
	require.ElementsMatch(t, []string{"of part 0", "of part 1", "of part 2"}, r.Violations)
	require.WithinDuration(t, time.Now(), r.Start, time.Minute, "they started together")
	require.Equal(t, 1, strings.Count(out.String(), "started\n"), "what all say is said once")
	require.Contains(t, out.String(), "part 2\n")
}

func TestOnePartThatCannotRunEndsAll(t *testing.T) {
	for run, says := range map[string]string{
		"cannot prepare": "no such system", "cannot run": "no router", "dies": "a producer ended: exit status 3",
	} {
		_, err := Run(t.Context(), t.Context(), tasks("waits", run), self, func() {}, progress.Lines(&bytes.Buffer{}))
		require.EqualError(t, err, says)
	}
	absent := func() *exec.Cmd { return exec.Command("/absent") }
	_, err := Run(t.Context(), t.Context(), tasks("runs", "runs"), absent, func() {}, progress.Lines(&bytes.Buffer{}))
	require.ErrorContains(t, err, "start a producer: fork/exec /absent: no such file")
}

func TestInterruptReachesAllParts(t *testing.T) {
	sending, interrupt := context.WithCancel(t.Context())
	view := &watched{view: progress.Lines(&bytes.Buffer{}), said: map[string]func(){"part 1": interrupt}}
	r, err := Run(t.Context(), sending, tasks("waits", "waits"), self, func() {}, view)
	require.NoError(t, err)
	require.True(t, r.Interrupted)
	require.EqualValues(t, 20, r.Sent)
}

func TestInterruptBeforeAnyPartIsReady(t *testing.T) {
	sending, interrupt := context.WithCancel(t.Context())
	interrupt()
	asleep := func() *exec.Cmd { return exec.Command("sleep", "60") }
	_, err := Run(t.Context(), sending, tasks("", ""), asleep, func() {}, progress.Lines(&bytes.Buffer{}))
	require.ErrorIs(t, err, drive.ErrAborted)
}

func TestAbortKillsAllParts(t *testing.T) {
	ctx, abort := context.WithCancel(t.Context())
	view := &watched{view: progress.Lines(&bytes.Buffer{}), said: map[string]func(){"part 1": abort}}
	_, err := Run(ctx, t.Context(), tasks("waits for its parent's end", "waits for its parent's end"), self, func() {}, view)
	require.ErrorIs(t, err, drive.ErrAborted)
}

// watched calls a function when something is said.
type watched struct {
	view
	said map[string]func()
}

type view = progress.View

func (w *watched) Say(line string) {
	if f := w.said[line]; f != nil {
		f()
	}
	w.view.Say(line)
}

func TestAPartEndsWithItsParent(t *testing.T) {
	left := filepath.Join(t.TempDir(), "left")
	cmd := self()
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	words := json.NewEncoder(in)
	require.NoError(t, words.Encode(Task{Config: drive.Config{Run: "waits for its parent's end", App: left}}))
	require.NoError(t, words.Encode(start{At: time.Now()}))
	require.NoError(t, in.Close())
	require.Error(t, cmd.Wait())
	require.FileExists(t, left)
}
