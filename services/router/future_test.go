package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/lockstep/pkg/appname"
	"example.com/lockstep/pkg/testkit"
	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// A running router lets its permit go under a topology from the future, says so, and is not ready; another one refuses to start.
// When the topology is restored it takes a permit anew.
func TestTopologyFromTheFuture(t *testing.T) {
	const why = "the topology cannot be read: it needs format 2, and this version knows 1: upgrade this program"
	n := testkit.NATS(t)
	at := "--nats=" + n.URL
	cmd := router(t, at, "--shards=3")
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	log := bufio.NewScanner(stderr)
	address := awaitLine(t, log, `"address":"([^"]+)"`)
	awaitLine(t, log, `"msg":"started"`)

	js, err := jetstream.New(n.Conn)
	require.NoError(t, err)
	top, err := topology.Load(t.Context(), js, appname.Default)
	require.NoError(t, err)
	kv, err := js.KeyValue(t.Context(), topology.Bucket(appname.Default, "topology"))
	require.NoError(t, err)
	top.Needs = topology.Format + 1
	future, err := json.Marshal(top)
	require.NoError(t, err)
	_, err = kv.Put(t.Context(), "topology", future)
	require.NoError(t, err)
	awaitLine(t, log, `"level":"ERROR","msg":"router has let its permit go and acknowledges nothing until the topology can be read".*"error":"`+why)
	code, body := readyz(t, address)
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.Contains(t, body, "this router has let its permit go: "+why)
	require.Eventually(t, func() bool {
		keys, err := kv.Keys(context.Background())
		return err == nil && len(keys) == 1
	}, 20*time.Second, time.Millisecond, "the entry of the permit stays")
	requireRefused(t, 1, why, at)
	requireRefused(t, 1, why, "restore-topology", at)

	require.NoError(t, kv.Delete(t.Context(), "topology"))
	out, err := router(t, "restore-topology", at).CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Eventually(t, func() bool { code, _ := readyz(t, address); return code == http.StatusOK }, 20*time.Second, time.Millisecond)
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	_, err = io.Copy(io.Discard, stderr)
	require.NoError(t, err)
	require.NoError(t, cmd.Wait())
}

// awaitLine reads a log up to a line that matches, and returns what the pattern's group, if it has one, matches.
func awaitLine(t *testing.T, log *bufio.Scanner, pattern string) string {
	t.Helper()
	found := regexp.MustCompile(pattern)
	for log.Scan() {
		if m := found.FindStringSubmatch(log.Text()); m != nil {
			return strings.Join(m[1:], "")
		}
	}
	require.Fail(t, "the log has no line "+pattern)
	return ""
}

func readyz(t *testing.T, address string) (code int, body string) {
	t.Helper()
	res, err := http.Get("http://" + address + "/readyz")
	require.NoError(t, err)
	b, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	http.DefaultClient.CloseIdleConnections()
	return res.StatusCode, string(b)
}
