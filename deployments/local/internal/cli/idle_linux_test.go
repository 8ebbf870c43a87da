package cli

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/lockstep/deployments/local/programs"
	"example.com/lockstep/pkg/stackfile"
)

// idleTime is how long an idle stack is watched, after it has been idle for settling.
const (
	settling = 10 * time.Second
	idleTime = 30 * time.Second
)

// BenchmarkIdleStack measures what a stack of `up` costs that has nothing to do: the time until it is ready, and all its processes' memory
// and processor time. Memory is their PSS, which counts a page that processes share once.
func BenchmarkIdleStack(b *testing.B) {
	bin := b.TempDir()
	buildAll(b, bin)
	for b.Loop() {
		dir := filepath.Join(b.TempDir(), "stack")
		began := time.Now()
		up := exec.Command(filepath.Join(bin, "local"), "up", "--dir="+dir)
		require.NoError(b, up.Start())
		var f stackfile.File
		require.Eventually(b, func() (ready bool) {
			var err error
			f, err = stackfile.Read(dir)
			return err == nil
		}, programs.Patience, 5*time.Millisecond)
		b.ReportMetric(time.Since(began).Seconds(), "s-until-ready")

		pids := []int{f.PID}
		for _, p := range f.Processes {
			pids = append(pids, p.PID)
		}
		time.Sleep(settling)
		before := sum(b, pids, processorTime)
		time.Sleep(idleTime)
		b.ReportMetric(100*(sum(b, pids, processorTime)-before)/idleTime.Seconds(), "%-of-a-core")
		b.ReportMetric(sum(b, pids, memory), "MiB-PSS")
		require.NoError(b, up.Process.Signal(os.Interrupt))
		require.NoError(b, up.Wait())
	}
}

func sum(b *testing.B, pids []int, of func(b *testing.B, pid int) float64) (all float64) {
	for _, pid := range pids {
		all += of(b, pid)
	}
	return all
}

// processorTime returns the seconds of processor time that a process has used.
func processorTime(b *testing.B, pid int) float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	require.NoError(b, err)
	_, after, _ := bytes.Cut(text, []byte(") ")) // the program's name, in brackets
	fields := bytes.Fields(after)
	const user, system, perSecond = 11, 12, 100 // utime and stime, in clock ticks
	return (number(b, fields[user]) + number(b, fields[system])) / perSecond
}

// memory returns a process's memory in MiB, of a page that n processes share the nth part.
func memory(b *testing.B, pid int) float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	require.NoError(b, err)
	_, after, found := bytes.Cut(text, []byte("\nPss:"))
	require.True(b, found)
	return number(b, bytes.Fields(after)[0]) / 1024
}

func number(b *testing.B, text []byte) float64 {
	n, err := strconv.ParseFloat(string(text), 64)
	require.NoError(b, err)
	return n
}

func buildAll(b *testing.B, bin string) {
	out, err := exec.Command("go", "build", "-o", bin+"/", "../../../../services/router", "../../../../services/worker", "../..").CombinedOutput()
	require.NoError(b, err, string(out))
}
