package mismatch

import (
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/lockstep/deployments/local/programs"
	"example.com/lockstep/pkg/publish"
	"example.com/lockstep/pkg/query"
)

// large does not fit where a batch did not.
var large = strings.Repeat("1", 256<<10)

// A log that is full of uncommitted events refuses new ones and tells the senders why. When the workers continue, the janitor
// makes room and the publishers continue, without help.
func testFullLog(t *testing.T, bin string) {
	r := up(t, bin, bin, append(shortHistory, "--log-bytes=1MiB")...)
	r.pause(query.MaxPause)
	l := programs.StartLoad(t, bin, r.dir, "--rate=4000", "--events=12000", "--keys=100", "--delivery-timeout=50s")
	l.Await(programs.Sending)
	r.eventually(r.refusesAsFull, "the log is never full")

	_, err := r.send("plain", large)
	require.EqualError(t, err, "503: maximum bytes exceeded")
	code, said := r.run(filepath.Join(bin, "producer"), "send", "--stack="+r.dir, "plain", large[:100<<10])
	require.Equal(t, 1, code)
	require.Equal(t, "producer: refused (503): maximum bytes exceeded\n", said)
	require.ErrorContains(t, r.publish("brief", 2*time.Second), "log full")

	r.pause(0)
	require.NoError(t, r.publish("patient", time.Minute))
	report := l.Passed()
	require.Zero(t, report.Failed)
	r.requireCounts([]string{"patient"}, 1)
	require.Equal(t, []uint64{0}, r.counts([]string{"plain"}), "it was refused")
}

// A full store takes no commits. No event is given up meanwhile, and when there is room the workers continue without help.
func testFullStore(t *testing.T, bin string) {
	r := up(t, bin, bin)
	l := programs.StartLoad(t, bin, r.dir, "--rate=2000", "--events=8000", "--keys=100")
	l.Await(programs.Sending)
	require.NoError(t, r.rdb.ConfigSet(t.Context(), "maxmemory", "1").Err())
	at := r.positions()
	for _, name := range workers {
		r.eventually(func() bool { return notCommitted.MatchString(r.log(name)) }, "%s goes on to commit", name)
	}
	l.Await(programs.Sending)
	require.Equal(t, at, r.positions(), "nothing is committed meanwhile")
	for name, says := range r.readiness() {
		require.NotContains(t, says, "stopped: ", name)
	}

	require.NoError(t, r.rdb.ConfigSet(t.Context(), "maxmemory", "0").Err())
	require.Zero(t, l.Passed().Failed)
	r.awaitRunning()
	r.someLoad()
}

var notCommitted = regexp.MustCompile(`level=WARN msg="not committed; trying again" .*error=".*OOM `)

// publish sends one event by a publisher of its own.
func (r *rig) publish(key string, deliveryTimeout time.Duration) error {
	r.t.Helper()
	p, err := publish.New(r.nc, publish.Config{App: app, DeliveryTimeout: deliveryTimeout})
	require.NoError(r.t, err)
	require.NoError(r.t, p.Start(r.t.Context()))
	err = p.Send(r.t.Context(), key, []byte(large))
	require.NoError(r.t, p.Stop(r.t.Context()))
	return err
}

var full = regexp.MustCompile(`(?m)^\w+_router_refused_total\{\w+="log full"\} [1-9]`)

// refusesAsFull tells whether the router has refused something because the log is full.
func (r *rig) refusesAsFull() bool {
	r.t.Helper()
	res, err := http.Get("http://" + r.process("router-1").Admin + "/metrics")
	require.NoError(r.t, err)
	defer http.DefaultClient.CloseIdleConnections()
	body, err := io.ReadAll(res.Body)
	require.NoError(r.t, err)
	require.NoError(r.t, res.Body.Close())
	return full.Match(body)
}

// pause pauses both workers; 0 ends the pause.
func (r *rig) pause(d time.Duration) {
	r.t.Helper()
	r.eventually(func() bool {
		all, err := r.query.Pause(r.t.Context(), d, answers)
		return err == nil && len(all) == len(workers)
	}, "not both workers pause")
}
