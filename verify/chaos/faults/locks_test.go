package faults

import (
	"context"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/lockstep/deployments/local/stackdir"
	"example.com/lockstep/pkg/stackfile"
	"example.com/lockstep/pkg/testkit"
)

const leaseTTL = 10 * time.Second

// workerLogs returns what the workers of a run in dir have logged.
func workerLogs(t *testing.T, dir string) string {
	t.Helper()
	var all strings.Builder
	for _, name := range workers(oneOfEach) {
		all.WriteString(logOf(t, dir, name))
	}
	return all.String()
}

// logOf returns what a service of a run in dir has logged.
func logOf(t *testing.T, dir, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "stack", stackdir.LogsDir, name+".log"))
	require.NoError(t, err)
	return string(text)
}

// A worker is stopped until all its leases have run out. When it continues it finds that others own its shards.
func TestLongWorkerStoppedPastItsLeases(t *testing.T) {
	testkit.Long(t)
	enter(t)
	dir := t.TempDir()
	lasts := leaseTTL + 3*time.Second
	r := play(t, oneOfEach, dir, Plan{Seed: 1, Duration: 4*time.Second + lasts, Steps: []Step{
		{At: 1500 * time.Millisecond, Fault: StopWorker, Victim: "worker-3", For: lasts},
	}})
	require.Regexp(t, "lease lost|another has claimed the shard", logOf(t, dir, "worker-3"))
	require.Greater(t, r.LongestPause(), leaseTTL/2, "a lease had to run out")
	require.Less(t, r.LongestPause(), stall+stall/2)
	t.Logf("longest pause %s", r.LongestPause())
}

// Two of three lock servers are enough: no shard changes hands.
func TestLongOneOfThreeLocksDown(t *testing.T) {
	testkit.Long(t)
	enter(t)
	dir := t.TempDir()
	lasts := leaseTTL + 2*time.Second
	// Workers that start at once get some leases from two servers only, while another worker has the third; the first
	// renewal, after 3 s, puts the leases on all three.
	r := play(t, threeLocks, dir, Plan{Seed: 1, Duration: 7*time.Second + lasts, Steps: []Step{
		{At: 4500 * time.Millisecond, Fault: StopLock, Victim: "lock-2", For: lasts},
	}})
	require.NotContains(t, workerLogs(t, dir), "lease lost")
	require.Less(t, r.LongestPause(), leaseTTL/2, "no lease had to run out")
	t.Logf("longest pause %s", r.LongestPause())
}

// Without a majority of the lock servers, owners stop when their leases end and say so, and continue when it is back.
func TestLongMajorityOfLocksDown(t *testing.T) {
	testkit.Long(t)
	enter(t)
	dir := t.TempDir()
	lasts := leaseTTL + 3*time.Second
	told := readiness(t, dir)
	r := play(t, threeLocks, dir, Plan{Seed: 1, Duration: 4*time.Second + lasts, Steps: []Step{
		{At: 1500 * time.Millisecond, Fault: StopLocks, Victim: "lock-1+lock-3", For: lasts},
	}})
	require.Less(t, r.LongestPause(), lasts+leaseTTL)
	logs := workerLogs(t, dir)
	require.Contains(t, logs, "lease lost")
	require.NotContains(t, logs, "panic")
	require.Contains(t, told(), "shards are being handed over")
	t.Logf("longest pause %s", r.LongestPause())
}

// readiness collects the workers' answers about their readiness, from the run's start until told is called.
func readiness(t *testing.T, dir string) (told func() string) {
	ctx, cancel := context.WithCancel(t.Context())
	var asking sync.WaitGroup
	said := map[string]bool{}
	asking.Go(func() {
		client := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
		for sleep(ctx, 100*time.Millisecond) {
			f, err := stackfile.Read(filepath.Join(dir, "stack"))
			if err != nil {
				continue // it is starting or stopping
			}
			for _, p := range f.Processes {
				if p.Role == stackfile.RoleWorker {
					said[readyz(client, p.Admin)] = true
				}
			}
		}
	})
	stop := func() { cancel(); asking.Wait() }
	t.Cleanup(stop)
	return func() string {
		stop()
		return strings.Join(slices.Sorted(maps.Keys(said)), "\n")
	}
}

func readyz(client *http.Client, admin string) string {
	response, err := client.Get("http://" + admin + "/readyz")
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	return string(body)
}
