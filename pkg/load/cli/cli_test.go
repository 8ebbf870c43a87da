package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"

	"example.com/lockstep/pkg/appname"
	"example.com/lockstep/pkg/load"
	"example.com/lockstep/pkg/load/internal/drive"
	"example.com/lockstep/pkg/load/internal/expect"
	"example.com/lockstep/pkg/load/internal/fleet"
	"example.com/lockstep/pkg/load/internal/pace"
	"example.com/lockstep/pkg/load/internal/pick"
	"example.com/lockstep/pkg/load/internal/report"
	"example.com/lockstep/pkg/service"
	"example.com/lockstep/pkg/testkit"
)

// call runs the program as Main does, except that it returns what it prints and
// the error that decides the exit code.
func call(args ...string) (stdout string, code int, err error) {
	var out, log bytes.Buffer
	parsed, err := service.Parse(name, "", ptr(New(application)), args, Variables(), kong.Writers(&out, &log))
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

func TestBadUsage(t *testing.T) {
	for _, c := range []struct{ args, says string }{
		{"", "expected one of"},
		{"fly", "unexpected argument fly"},
		{"load --rate=fast", `rate "fast" is none of max, a whole number`},
		{"load --rate=ramp:5", `rate "ramp:5": it needs FROM:TO, as in ramp:1000:50000`},
		{"load --rate=ramp:5:9 --events=3", "has no limit: set a duration"},
		{"load --rate=spike:5:9:10s:5s", "set a longer duration or an earlier spike"},
		{"load --rate=0", `rate "0"`},
		{"load --duration=0s", "duration must be more than 0"},
		{"load --duration=soon", "duration"},
		{"load --keys=0", "keys must be from 1 to 10000000, not 0"},
		{"load --distribution=normal", `--distribution: distribution "normal" is none of uniform, sequential, zipf:S`},
		{"load --distribution=file:", "file"},
		{"load --distribution=", `distribution "" is none of`},
		{"load --distribution=zipf:0.4", `distribution "zipf:0.4": the exponent must be a number from 0.5 to 10, as in zipf:1.0`},
		{"load --distribution=hot:1:10", `distribution "hot:1:10": the hot keys' share must be a number above 0 and below 1, as in hot:0.9:10`},
		{"load --distribution=hot:0.9", `distribution "hot:0.9": the number of hot keys must be a whole number from 1, as in hot:0.9:10`},
		{"load --distribution=hot:0.9:10 --keys=10", "distribution hot:0.9:10 leaves no key for the other events: it needs at least 11 keys, not 10"},
		{"load --size=11", "size must be from 12 to 523264 bytes, not 11"},
		{"load --size=64-32", "must have the smaller number first"},
		{"load --payload=zeroes", `payload "zeroes" is none of random, compressible and file:PATH`},
		{"load --payload=file:x --size=64", "set no size"},
		{"load --warm-up=-1s", "warm-up must be"},
		{"load --events=some", "--events"},
		{"load --in-flight=0", "in flight must be from 1 to 1000000 events, not 0"},
		{"load --producers=0", "producers must be from 1 to 64, not 0"},
		{"load --producers=65", "producers must be from 1 to 64, not 65"},
		{"load --producers=3 --keys=2", "2 keys are not enough for 3 producers"},
		{"load --producers=3 --events=2", "2 events are not enough for 3 producers"},
		{"load --producers=2 --backlog", "--backlog needs --producers=1, not 2"},
		{"load --find-max=-1s", "find-max must be more than 0"},
		{"load --find-max=1s --backlog", "give one of them"},
		{"load --find-max=1s --rate=ramp:1:2", "--rate=ramp:1:2 must be a number"},
		{"load --threshold=apply.p99", `threshold "apply.p99" has none of`},
		{"load --threshold=apply.p98<1s", `there is no metric "apply.p98"`},
		{"load --threshold=apply.p99<1", "is held against a duration like 50ms"},
		{"load --profile=fast", `there is no profile "fast": want backlog, find-max,`},
		{"load --profile=./absent.yaml", "profile ./absent.yaml cannot be read: no such file"},
		{"load --profile=", "--profile is empty"},
		{"load --receipts=some", "receipts must be auto, all or a share"},
		{"load --delivery-timeout=1ms", "delivery timeout must be at least 1s"},
		{"load --drain-timeout=0s", "drain timeout must be more than 0"},
		{"load --app=UPPER", "--app"},
		{"load --nats=http://h", "--nats"},
		{"load extra", "unexpected argument extra"},
		{"compare", "expected \"<a> <b>\""},
		{"compare a.json", "expected \"<b>\""},
	} {
		_, code, err := call(strings.Fields(c.args)...)
		require.Equal(t, service.ExitUsage, code, c.args)
		require.ErrorContains(t, err, c.says, c.args)
		require.NotContains(t, err.Error(), "\n")
	}
}

func TestHelp(t *testing.T) {
	out, code, _ := call("load", "--help")
	require.Zero(t, code)
	require.Contains(t, out, "--rate=max|N|ramp:..")
	require.Contains(t, strings.Join(strings.Fields(out), " "), "backlog, find-max, hotkey, ramp, smoke, soak, spike")
	require.NotContains(t, out, "${")
	out, _, _ = call("--help")
	require.NotContains(t, out, "part", "what only a load itself starts")
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
		{[]string{"load", "--nats=" + url, out}, "is a router of app " + appname.Default + " running?"},
		{[]string{"compare", dir + "/a.json", dir + "/b.json"}, "cannot read the report " + dir + "/a.json: there is no such file"},
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

// parse returns the load that arguments make.
func parse(t *testing.T, args ...string) loadCommand {
	t.Helper()
	var p Commands
	_, err := service.Parse(name, "", &p, append([]string{"load"}, args...), Variables())
	require.NoError(t, err)
	return p.Load
}

func TestFlagsBecomeALoad(t *testing.T) {
	c := parse(t, strings.Fields("--rate=60000 --duration=3s --warm-up=1s --keys=5 --distribution=hot:0.5:1 --size=64-80 --payload=compressible --seed=9 --in-flight=7")...)
	hot, err := pick.Parse("hot:0.5:1")
	require.NoError(t, err)
	cfg, err := c.config("bank", "r", 0)
	require.NoError(t, err)
	require.Equal(t, drive.Config{
		App: "bank", Run: "r", Schedule: pace.Constant(60000), InFlight: 7, WarmUp: time.Second, Duration: 3 * time.Second, Keys: 5,
		Distribution: hot, Payload: expect.Payload{Content: expect.Compressible, Size: expect.Size{Least: 64, Most: 80}}, Seed: 9,
		Receipts: 1.0 / 16, DeliveryTimeout: 30 * time.Second, DrainTimeout: time.Minute, Parts: 1,
	}, cfg)

	for flag, want := range map[string]pace.Share{
		"--rate=50000": 1, "--rate=max": 1.0 / 16, "--rate=sine:40000:20000:1s": 1.0 / 16, "--receipts=all": 1, "--receipts=1/4": 0.25,
	} {
		c := parse(t, flag)
		share, err := c.share()
		require.NoError(t, err)
		require.Equal(t, want, share, flag)
	}
}

func TestHowLongALoadIs(t *testing.T) {
	for args, want := range map[string]struct {
		duration time.Duration
		events   uint64
	}{
		"":                         {10 * time.Second, 0},
		"--events=5":               {0, 5},
		"--events=5 --duration=1s": {time.Second, 5},
	} {
		cfg, err := ptr(parse(t, strings.Fields(args)...)).config("a", "r", 0)
		require.NoError(t, err)
		require.Equal(t, want.duration, cfg.Duration)
		require.Equal(t, want.events, cfg.Events)
	}
}

// application is that of a program that was not changed.
var application = load.Application{Generate: func(d *load.Draw) load.Event { return load.Event{Payload: d.Content()} }}

func ptr[T any](v T) *T { return &v }

// Several producers have keys of their own, all together as many as one would.
func TestProducersShareTheKeys(t *testing.T) {
	c := parse(t, "--producers=3", "--keys=8", "--events=100")
	keys, names := 0, map[string]bool{}
	for part := range 3 {
		cfg, err := c.config("a", "r", part)
		require.NoError(t, err)
		require.Equal(t, part, cfg.Part)
		require.Equal(t, 3, cfg.Parts)
		keys += cfg.Keys
		names[cfg.Run] = true
	}
	require.Equal(t, 8, keys)
	require.Len(t, names, 3)
}

// A task survives the way to another process.
func TestTasksSurviveTheWayToAnotherProcess(t *testing.T) {
	c := parse(t, strings.Fields("--rate=spike:5:9:1s:5s --distribution=zipf:1.5 --size=64-80 --payload=compressible --producers=2 --keys=9")...)
	cfg, err := c.config("bank", "r", 1)
	require.NoError(t, err)
	body, err := json.Marshal(fleet.Task{NATS: "nats://x", Config: cfg})
	require.NoError(t, err)
	var told fleet.Task
	require.NoError(t, json.Unmarshal(body, &told))
	require.Equal(t, fleet.Task{NATS: "nats://x", Config: cfg}, told)
}

func TestDistributionFromTheEnvironment(t *testing.T) {
	t.Setenv(appname.EnvPrefix+"_DISTRIBUTION", "zipf:1.20")
	var p Commands
	_, err := service.Parse(name, "", &p, []string{"load"}, Variables())
	require.NoError(t, err)
	require.Equal(t, "zipf:1.2", p.Load.Distribution.String())

	t.Setenv(appname.EnvPrefix+"_DISTRIBUTION", "zipf:12")
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
	require.ErrorAs(t, judge(report.Report{Verdict: report.Crossed, Acked: 1}), &exit)
	require.Equal(t, 99, exit.Code)
	require.ErrorAs(t, judge(report.Report{Verdict: report.Unfinished, Acked: 1}), &exit)
	require.Equal(t, 97, exit.Code)
}
