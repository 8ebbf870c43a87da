package service

import (
	"strings"
	"testing"

	"example.com/lockstep/pkg/address"
	"example.com/lockstep/pkg/testkit"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// special are characters that take a URL apart, or a list.
const special = `[A-Z0-9,@/:?#%;&=+ ]`

// misuse are ways to give an address to a program, right and wrong ones.
var misuse = []string{
	"--nats=nats://u:PW@host:1", "--nats=tls://u:PW@host", "--nats=:PW@host:1", "--nats=nats://a:1,nats://u:PW@host:1",
	"--nats=nats://u:PW@a:1,u:PW@b:2", "--nats=u:PW@a:1 nats://u:PW@b:2", "--nats=http://u:PW@host:1",
	"--redis=redis://u:PW@host:1/0", "--redis=rediss://:PW@host:1", "--redis=u:PW@host:1", "--redis=redis://u:PW@host:1/x",
	"--redis=unix://u:PW@/run/redis.sock", "--redis=http://u:PW@host:1", "--redis=redis://u:PW@host:1?db=x",
	"--lock-redis=redis://u:PW@host:1", "--lock-redis=redis://u:PW@a:1,redis://u:PW@a:1", "--lock-redis=u:PW@a:1 u:PW@b:2",
	"--redi=redis://u:PW@host:1", "redis://u:PW@host:1", "--shards=redis://u:PW@host:1", "--log-level=nats://u:PW@host:1",
	"--stop-timeout=redis://u:PW@host:1", "--app=redis://u:PW@host:1", "--admin=redis://u:PW@host:1",
}

// No password of an address is told, however it is given, whether the address is good or not.
func TestPasswordsAreNotTold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		password := rapid.StringMatching(special+`{0,6}SECRET`+special+`{0,6}`).Draw(t, "password")
		arg := strings.ReplaceAll(rapid.SampledFrom(misuse).Draw(t, "argument"), "PW", password)
		var cli sample
		code, stdout, stderr := call(&cli, arg)
		var log testkit.Log
		if code == 0 {
			LogConfig(NewLogger("sample", cli.Config, &log), &cli)
		}
		require.NotContains(t, stdout+stderr+log.String(), "SECRET")
	})
}

// A piece of a password with a special character in it is not taken for a host.
func TestPiecesOfAPasswordAreNoHost(t *testing.T) {
	for _, server := range []string{
		"tls://svc:s3cr3t@pa/ss@host", "nats://u:12/34@h", "nats://u:12?34@h", "ws://u:12#34@h", "nats://to/ken@h",
	} {
		_, err := natsServers(server)
		require.ErrorIs(t, err, address.ErrNotURL, server)
	}
}
