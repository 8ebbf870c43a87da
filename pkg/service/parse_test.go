package service

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"example.com/lockstep/pkg/appname"
	"example.com/lockstep/pkg/redisconn"
	"github.com/stretchr/testify/require"
)

// sample is a service's cli: flags of its own, and two commands.
type sample struct {
	Config
	redisconn.Flags
	Shards int    `default:"16" help:"Shards."`
	Token  string `secret:"" help:"Token."`

	Serve sampleServe `cmd:"" default:"withargs" help:"Serve."`
	Fail  sampleFail  `cmd:"" help:"Fail."`

	served bool
}

type sampleServe struct {
	Window time.Duration `default:"1s" help:"Window."`
}

func (s *sampleServe) Validate() error {
	if s.Window <= 0 {
		return errors.New("--window must be above 0")
	}
	return nil
}

func (s *sampleServe) Run(ctx context.Context, cli *sample) error {
	cli.served = ctx.Err() == nil
	return nil
}

type sampleFail struct {
	Code int `default:"1"`
}

func (f *sampleFail) Run() error {
	err := errors.Join(errors.New("one"), errors.New("two"))
	if f.Code != ExitFailed {
		return &ExitError{Code: f.Code, Err: err}
	}
	return err
}

// call runs a sample as Main does.
func call(cli *sample, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = run(&out, &errs, "sample", "A sample.", cli, args)
	return code, out.String(), errs.String()
}

func TestDefaults(t *testing.T) {
	var cli sample
	code, stdout, stderr := call(&cli)
	require.Equal(t, []any{0, "", ""}, []any{code, stdout, stderr})
	require.True(t, cli.served)
	require.Equal(t, Config{
		App: appname.Default, NATS: "nats://127.0.0.1:4222", Admin: "127.0.0.1:0",
		LogLevel: "info", LogFormat: "auto", StopTimeout: 10 * time.Second,
	}, cli.Config)
	require.Equal(t, "127.0.0.1:6379", cli.Redis)
	require.Equal(t, []string{"127.0.0.1:6379"}, cli.LockAddresses())
}

func TestFlags(t *testing.T) {
	var cli sample
	code, _, stderr := call(&cli, "--app=shop", "--nats=nats://u:p@a:1,nats://b:2", "--admin=:9000", "--stop-timeout=3s",
		"--redis=redis://:p@c:3/1", "--lock-redis=d:4", "--lock-redis=e:5", "--window=2s")
	require.Zero(t, code, stderr)
	require.Equal(t, "shop", cli.App)
	require.Equal(t, 3*time.Second, cli.StopTimeout)
	require.Equal(t, []string{"d:4", "e:5"}, cli.LockAddresses())
	require.Equal(t, 2*time.Second, cli.Serve.Window)
}

func TestEnvironment(t *testing.T) {
	t.Setenv(appname.EnvPrefix+"_APP", "shop")
	t.Setenv(appname.EnvPrefix+"_STOP_TIMEOUT", "4s")
	t.Setenv(appname.EnvPrefix+"_LOCK_REDIS", "d:4 redis://u:a,b@e:5,redis://f:6")
	t.Setenv(appname.EnvPrefix+"_WINDOW", "5s")
	t.Setenv("APP", "other")
	t.Setenv("SHARDS", "99")
	var cli sample
	code, _, stderr := call(&cli, "--stop-timeout=3s")
	require.Zero(t, code, stderr)
	require.Equal(t, "shop", cli.App)
	require.Equal(t, 3*time.Second, cli.StopTimeout, "a flag wins over the environment")
	require.Equal(t, []string{"d:4", "redis://u:a,b@e:5", "redis://f:6"}, cli.LockAddresses())
	require.Equal(t, 5*time.Second, cli.Serve.Window)
	require.Equal(t, 16, cli.Shards)
}

func TestBadUsageIsOneLineAndCode2(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"unknown flag":      {[]string{"--nope"}, "unknown flag --nope"},
		"unknown command":   {[]string{"nope"}, "unexpected argument nope"},
		"not a number":      {[]string{"--shards=x"}, "--shards"},
		"app":               {[]string{"--app=Shop"}, `--app="Shop": want a letter`},
		"app too long":      {[]string{"--app=a" + strings.Repeat("b", 31)}, "--app="},
		"nats scheme":       {[]string{"--nats=http://a:1"}, "not http://"},
		"nats host":         {[]string{"--nats=nats://"}, "names no host"},
		"nats empty":        {[]string{"--nats="}, "want nats://HOST:PORT"},
		"nats comma":        {[]string{"--nats=nats://a:1,b:2"}, "--nats=nats://a:***: a comma does not separate addresses"},
		"nats password":     {[]string{"--nats=tls://svc:secret@pa/ss@host"}, "--nats=tls://svc:***@host: not a valid URL"},
		"nats no host":      {[]string{"--nats=nats://u:secret"}, "--nats=nats://u:***: not a valid URL"},
		"nats url":          {[]string{"--nats=nats://u:sec%ret@h:1"}, "--nats=nats://u:***@h:1: not a valid URL"},
		"redis address":     {[]string{"--redis=localhost"}, "--redis=localhost: want HOST:PORT or a redis:// URL"},
		"redis url":         {[]string{"--redis=redis://:sec%ret@h:1"}, "--redis=redis://:***@h:1: not a valid URL"},
		"redis port":        {[]string{"--redis=redis://:secret/ret@h:1"}, "--redis=redis://:***@h:1: not a valid URL"},
		"redis scheme":      {[]string{"--redis=http://h:1"}, "--redis=http://h:1: want redis://, rediss:// or unix://, not http://"},
		"lock redis":        {[]string{"--lock-redis=a:1", "--lock-redis=b"}, "--lock-redis=b: want HOST:PORT"},
		"lock redis comma":  {[]string{"--lock-redis=a:1,b:2"}, "--lock-redis=a:***: a comma does not separate addresses"},
		"redis no host":     {[]string{"--redis=u:secret"}, "--redis=u:***: want HOST:PORT"},
		"address as flag":   {[]string{"--redi=redis://u:secret@h:1"}, "unknown flag --redi"},
		"address alone":     {[]string{"redis://u:secret@h:1"}, "unexpected argument redis://u:***@h:1"},
		"lock redis twice":  {[]string{"--lock-redis=a:1", "--lock-redis=a:1"}, "given twice"},
		"admin":             {[]string{"--admin=9000"}, `--admin="9000": want HOST:PORT`},
		"stop timeout":      {[]string{"--stop-timeout=0s"}, "--stop-timeout=0s: must be above 0"},
		"log level":         {[]string{"--log-level=loud"}, "--log-level must be one of"},
		"log format":        {[]string{"--log-format=xml"}, "--log-format must be one of"},
		"validate own flag": {[]string{"--window=-1s"}, "--window must be above 0"},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := call(&sample{}, c.args...)
			require.Equal(t, ExitUsage, code)
			require.Empty(t, stdout)
			require.Contains(t, stderr, c.want)
			require.Regexp(t, `^sample: [^\n]+ \(see sample --help\)\n$`, stderr)
			require.NotContains(t, stderr, "ret@")
			require.NotContains(t, stderr, "secret")
		})
	}
}

func TestBadEnvironment(t *testing.T) {
	t.Setenv(appname.EnvPrefix+"_STOP_TIMEOUT", "soon")
	code, _, stderr := call(&sample{})
	require.Equal(t, ExitUsage, code)
	require.Contains(t, stderr, "stop-timeout")
	require.Equal(t, 1, strings.Count(stderr, "\n"))
}

func TestHelp(t *testing.T) {
	code, stdout, stderr := call(&sample{}, "--help")
	require.Zero(t, code)
	require.Empty(t, stderr)
	require.Contains(t, stdout, "A sample.")
	require.Contains(t, stdout, appname.EnvPrefix+"_LOCK_REDIS")
}

func TestCommandErrors(t *testing.T) {
	code, _, stderr := call(&sample{}, "fail")
	require.Equal(t, ExitFailed, code)
	require.Equal(t, "sample: one; two\n", stderr)

	code, _, stderr = call(&sample{}, "fail", "--code=7")
	require.Equal(t, 7, code)
	require.Equal(t, "sample: one; two\n", stderr)
}

func TestParsePanicsOnAWrongStruct(t *testing.T) {
	require.Panics(t, func() { _, _ = Parse("x", "", struct{}{}, nil) })
}
