package mismatch

import (
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"

	"github.com/stretchr/testify/require"
)

// awaitStopped waits until every shard has stopped for a reason, and requires that an operator sees it in the workers' logs,
// at /readyz and in `status`.
func (r *rig) awaitStopped(why string) {
	r.t.Helper()
	r.eventually(func() bool {
		owned, all := r.owned()
		for _, s := range owned {
			all = all && strings.HasPrefix(s.State, "stopped: ") && strings.Contains(s.State, why)
		}
		return all
	}, "not every shard has stopped: %s", why)

	logs := r.log("worker-1") + r.log("worker-2")
	for n := range shards {
		require.Regexp(r.t, fmt.Sprintf(`level=ERROR msg="shard stopped until this is mended" .*shard=%d error=".*%s.*worker accept-gap %d\)`, n, why, n), logs)
	}
	var ready map[string]string
	r.eventually(func() bool { // a shard may be on its way to a worker that has just come back
		ready = r.readiness()
		for _, says := range ready {
			if !strings.Contains(says, `"ready":true`) {
				return false
			}
		}
		return len(ready) == len(workers)
	}, "not ready: %v", late(func() any { return ready }))
	for name, says := range ready {
		require.Contains(r.t, says, "stopped: ", name)
		require.Contains(r.t, says, why, name)
	}
	code, status := r.run(filepath.Join(r.bin, "local"), "status", "--dir="+r.dir)
	require.Zero(r.t, code, status)
	require.Equal(r.t, shards, strings.Count(status, why), status)
}

// readiness returns the answers of the workers' /readyz that say not ready or have notes.
func (r *rig) readiness() map[string]string {
	r.t.Helper()
	says := make(map[string]string)
	for _, p := range r.File().Processes {
		if p.Role != "worker" {
			continue
		}
		res, err := http.Get("http://" + p.Admin + "/readyz")
		require.NoError(r.t, err)
		body, err := io.ReadAll(res.Body)
		require.NoError(r.t, err)
		require.NoError(r.t, res.Body.Close())
		if res.StatusCode != http.StatusOK || strings.Contains(string(body), `"notes":`) {
			says[p.Name] = string(body)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	return says
}

// acceptGaps accepts the gap of each shard by name, and waits until all shards run again.
func (r *rig) acceptGaps(says string) {
	r.t.Helper()
	for n := range shards {
		code, out := r.acceptGap(n)
		require.Zero(r.t, code, out)
		require.Contains(r.t, out, says)
	}
	r.awaitRunning()
	r.eventually(func() bool { return len(r.readiness()) == 0 }, "not ready")
}

func (r *rig) acceptGap(shard int) (code int, out string) {
	r.t.Helper()
	return r.run(filepath.Join(r.bin, "worker"), "accept-gap", fmt.Sprint(shard), "--nats="+r.File().NATS, "--redis="+r.File().Redis)
}
