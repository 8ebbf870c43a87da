package cli

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"example.com/lockstep/pkg/service"
	"example.com/lockstep/pkg/testkit"

	"example.com/lockstep/services/producer/internal/load"
	"example.com/lockstep/services/producer/internal/pace"
	"example.com/lockstep/services/producer/internal/pick"
	"example.com/lockstep/services/producer/internal/report"
)

// call runs the program as Main does, except that it returns what it prints and
// the error that decides the exit code.
func call(args ...string) (stdout string, code int, err error) {
	var out, log bytes.Buffer
	parsed, err := service.Parse(name, "", &program{}, args, kong.Writers(&out, &log))
	if err == nil {
		err = parsed.Run()
	}
	exit := (*service.ExitError)(nil)
	switch {
	case errors.As(err, &exit):
		code = exit.Code
	case err != nil:
		code = service.ExitFailed
	}
	return out.String(), code, err
}

// stackDir describes a stack at a URL, alive as long as this test.
func stackDir(t *testing.T, url string) string {
	dir := t.TempDir()
	body := fmt.Sprintf(`{"schema":1,"pid":%d,"nats":%q,"redis":"","app":"bank","processes":[]}`, os.Getpid(), url)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "stack.json"), []byte(body), 0o644))
	return dir
}

func TestBadUsage(t *testing.T) {
	for _, c := range []struct{ args, says string }{
		{"", "expected one of"},
		{"fly", "unexpected argument fly"},
		{"load --rate=fast", `rate "fast" is neither max nor a whole number`},
		{"load --rate=0", `rate "0"`},
		{"load --duration=0s", "duration must be more than 0"},
		{"load --duration=soon", "duration"},
		{"load --keys=0", "keys must be from 1 to 10000000, not 0"},
		{"load --distribution=normal", `--distribution: distribution "normal" is none of uniform, sequential, zipf:S`},
		{"load --distribution=", `distribution "" is none of`},
		{"load --distribution=zipf:0.4", `distribution "zipf:0.4": the exponent must be a number from 0.5 to 10, as in zipf:1.0`},
		{"load --distribution=hot:1:10", `distribution "hot:1:10": the hot keys' share must be a number above 0 and below 1, as in hot:0.9:10`},
		{"load --distribution=hot:0.9", `distribution "hot:0.9": the number of hot keys must be a whole number from 1, as in hot:0.9:10`},
		{"load --distribution=hot:0.9:10 --keys=10", "distribution hot:0.9:10 leaves no key for the other events: it needs at least 11 keys, not 10"},
		{"load --size=11", "size must be from 12 to 523264 bytes, not 11"},
		{"load --receipts=some", "receipts must be auto, all or a share"},
		{"load --delivery-timeout=1ms", "delivery timeout must be at least 1s"},
		{"load --drain-timeout=0s", "drain timeout must be more than 0"},
		{"load --app=UPPER", "--app"},
		{"load --nats=http://h", "--nats"},
		{"load extra", "unexpected argument extra"},
		{"send", "expected KEY and DATA"},
		{"send k", `expected "<data>"`},
		{"send " + strings.Repeat("k", 513) + " 1", "key is too long: 513 bytes"},
		{"send k 1 --timeout=0s", "timeout must be more than 0"},
	} {
		_, code, err := call(strings.Fields(c.args)...)
		require.Equal(t, service.ExitUsage, code, c.args)
		require.ErrorContains(t, err, c.says, c.args)
		require.NotContains(t, err.Error(), "\n")
	}
	_, code, err := call("send", "", "1")
	require.Equal(t, service.ExitUsage, code)
	require.ErrorContains(t, err, "event has no key")
}

func TestHelp(t *testing.T) {
	out, code, _ := call("load", "--help")
	require.Zero(t, code)
	require.Contains(t, out, "--rate=max|N")
}

func TestCannotRun(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	nobody := "nats://" + free.Addr().String()
	require.NoError(t, free.Close())
	url := testkit.NATS(t).URL
	dir := t.TempDir()
	out := "--out=" + filepath.Join(dir, "report.json")

	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"load", "--stack=" + dir, out}, "no stack is up in " + dir},
		{[]string{"load", "--nats=" + nobody, out}, "cannot reach NATS at " + nobody},
		{[]string{"load", "--nats=" + url, "--out=/absent/report.json"}, "cannot write the report to /absent/report.json"},
		{[]string{"load", "--nats=" + url, out}, "is a router of app lockstep running?"},
		{[]string{"send", "k", "1", "--stack=" + dir}, "no stack is up in " + dir},
		{[]string{"send", "k", "1", "--nats=" + nobody}, "cannot reach NATS"},
		{[]string{"send", "k", "1", "--nats=" + url}, "no router of app lockstep is listening"},
	} {
		_, code, err := call(c.args...)
		require.Equal(t, service.ExitFailed, code, c.args)
		require.ErrorContains(t, err, c.says, c.args)
		require.NotContains(t, err.Error(), "\n")
	}
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left, "nothing half-written stays")
}

func TestSendToAStack(t *testing.T) {
	server := testkit.NATS(t)
	dir := stackDir(t, server.URL)
	for _, app := range []string{"bank", "shop"} {
		_, err := server.Conn.Subscribe(app+".in.event.>", func(m *nats.Msg) {
			_ = m.Respond([]byte(fmt.Sprintf(`{"stream":"%s %s=%s","seq":7}`, app, m.Header.Get("Key"), m.Data)))
		})
		require.NoError(t, err)
	}
	require.NoError(t, server.Conn.Flush())
	t.Setenv("LOCKSTEP_NATS", "nats://elsewhere.invalid:1")
	t.Setenv("LOCKSTEP_APP", "elsewhere")

	for want, args := range map[string][]string{
		"stored in stream bank k=-5 at sequence 7\n": {"send", "--stack=" + dir, "k", "--", "-5"},
		"stored in stream shop k=1 at sequence 7\n":  {"send", "k", "1", "--stack=" + dir, "--app=shop"},
	} {
		out, code, err := call(args...)
		require.NoError(t, err)
		require.Zero(t, code)
		require.Equal(t, want, out)
	}
}

func TestFlagsBecomeALoad(t *testing.T) {
	var p program
	_, err := service.Parse(name, "", &p, strings.Fields("load --rate=60000 --duration=3s --keys=5 --distribution=hot:0.5:1 --size=64 --seed=9"))
	require.NoError(t, err)
	cfg, err := p.Load.config()
	require.NoError(t, err)
	require.NotEmpty(t, cfg.Run)
	cfg.Run = ""
	hot, err := pick.Parse("hot:0.5:1")
	require.NoError(t, err)
	require.Equal(t, load.Config{
		App: "lockstep", Rate: 60000, Duration: 3 * time.Second, Keys: 5, Distribution: hot, Size: 64, Seed: 9, Receipts: 1.0 / 16,
		DeliveryTimeout: 30 * time.Second, DrainTimeout: time.Minute,
	}, cfg)

	for flag, want := range map[string]pace.Share{"--rate=50000": 1, "--rate=max": 1.0 / 16, "--receipts=all": 1, "--receipts=1/4": 0.25} {
		var p program
		_, err := service.Parse(name, "", &p, []string{"load", flag})
		require.NoError(t, err)
		share, err := p.Load.share()
		require.NoError(t, err)
		require.Equal(t, want, share, flag)
	}
}

func TestDistributionFromTheEnvironment(t *testing.T) {
	t.Setenv("LOCKSTEP_DISTRIBUTION", "zipf:1.20")
	var p program
	_, err := service.Parse(name, "", &p, []string{"load"})
	require.NoError(t, err)
	require.Equal(t, "zipf:1.2", p.Load.Distribution.String())

	t.Setenv("LOCKSTEP_DISTRIBUTION", "zipf:12")
	_, code, err := call("load")
	require.Equal(t, service.ExitUsage, code)
	require.ErrorContains(t, err, `distribution "zipf:12": the exponent`)
}

func TestVerdictDecidesTheExitCode(t *testing.T) {
	require.NoError(t, judge(report.Report{Verdict: report.Pass}))
	require.ErrorContains(t, judge(report.Report{Verdict: report.Fail, Sent: 3}), "nothing was acknowledged")
	exit := (*service.ExitError)(nil)
	require.ErrorAs(t, judge(report.Report{Verdict: report.Fail, Acked: 1}), &exit)
	require.Equal(t, 98, exit.Code)
}
