package cli

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"example.com/lockstep/pkg/appname"
	"example.com/lockstep/pkg/service"
	"example.com/lockstep/pkg/testkit"
	"example.com/lockstep/pkg/topology"
)

// stackDir describes a stack with two apps at a URL, alive as long as this test.
func stackDir(t *testing.T, url string) string {
	dir := t.TempDir()
	body := fmt.Sprintf(`{"schema":2,"pid":%d,"nats":%q,"app":"bank","processes":[{"name":"shop-worker-1","app":"shop"}]}`, os.Getpid(), url)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "stack.json"), []byte(body), 0o644))
	return dir
}

func TestBadUsageOfSend(t *testing.T) {
	for _, c := range []struct{ args, says string }{
		{"load --keys=0", "keys must be from 1 to 10000000, not 0"},
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

func TestCannotSend(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	nobody := "nats://" + free.Addr().String()
	require.NoError(t, free.Close())
	url := testkit.NATS(t).URL
	dir := t.TempDir()
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"send", "k", "1", "--stack=" + dir}, "no stack is up in " + dir},
		{[]string{"send", "k", "1", "--stack=" + stackDir(t, url), "--app=shops"}, `the stack runs no app "shops": it runs bank, shop`},
		{[]string{"send", "k", "1", "--nats=" + nobody}, "cannot reach NATS"},
		{[]string{"send", "k", "1", "--nats=" + url}, "no router of app " + appname.Default + " is listening"},
	} {
		_, code, err := call(c.args...)
		require.Equal(t, service.ExitFailed, code, c.args)
		require.ErrorContains(t, err, c.says, c.args)
		require.NotContains(t, err.Error(), "\n")
	}
}

func TestSendToAStack(t *testing.T) {
	server := testkit.NATS(t)
	dir := stackDir(t, server.URL)
	got := make(chan string, 1)
	for _, app := range []string{"bank", "shop"} {
		_, err := server.Conn.Subscribe(app+".in.event.>", func(m *nats.Msg) {
			got <- m.Header.Get("Key") + "=" + string(m.Data)
			_ = m.Respond([]byte(fmt.Sprintf(`{"stream":"%s","seq":7}`, topology.StreamName(app, 1, 0))))
		})
		require.NoError(t, err)
	}
	require.NoError(t, server.Conn.Flush())
	t.Setenv(appname.EnvPrefix+"_NATS", "nats://elsewhere.invalid:1")
	t.Setenv(appname.EnvPrefix+"_APP", "elsewhere")

	for want, c := range map[string]struct {
		event string
		args  []string
	}{
		"stored in stream BANK_1_0 at sequence 7\n": {"k=-5", []string{"send", "--stack=" + dir, "k", "--", "-5"}},
		"stored in stream SHOP_1_0 at sequence 7\n": {"k=1", []string{"send", "k", "1", "--stack=" + dir, "--app=shop"}},
	} {
		out, code, err := call(c.args...)
		require.NoError(t, err)
		require.Zero(t, code)
		require.Equal(t, want, out)
		require.Equal(t, c.event, <-got)
	}
}

// A program that is made for an app means that one in a stack, which may run several.
func TestProgramForOneAppKeepsItInAStack(t *testing.T) {
	server := testkit.NATS(t)
	got := make(chan string, 1)
	_, err := server.Conn.Subscribe("*.in.event.>", func(m *nats.Msg) {
		app, _, _ := strings.Cut(m.Subject, ".")
		got <- app
		_ = m.Respond(fmt.Appendf(nil, `{"stream":"%s","seq":7}`, topology.StreamName(app, 1, 0)))
	})
	require.NoError(t, err)
	require.NoError(t, server.Conn.Flush())
	for _, c := range []struct{ flag, app string }{{"", "shop"}, {"--app=bank", "bank"}} {
		args := append([]string{"send", "--stack=" + stackDir(t, server.URL), "k", "1"}, strings.Fields(c.flag)...)
		parsed, err := service.Parse(name, "", ptr(New(application)), args, Variables(), kong.Vars{"app": "shop"}, kong.Writers(io.Discard, io.Discard))
		require.NoError(t, err)
		require.NoError(t, parsed.Run())
		require.Equal(t, c.app, <-got)
	}
}

// kong would send a key that is not UTF-8 under another name.
func TestKeysAndDataThatAreNotUTF8AreRefused(t *testing.T) {
	for _, args := range [][]string{{"send", "a\xff", "1"}, {"send", "a", "1\xff"}} {
		_, err := service.Parse(name, "", ptr(New(application)), args, Variables())
		require.ErrorContains(t, err, "is not UTF-8")
	}
}
