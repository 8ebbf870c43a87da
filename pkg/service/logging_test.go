package service

import (
	"bytes"
	"encoding/json"
	"example.com/lockstep/pkg/appname"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestKebab(t *testing.T) {
	for in, want := range map[string]string{"App": "app", "StopTimeout": "stop-timeout", "NATS": "nats", "NATSUrl": "nats-url", "LogLevel": "log-level"} {
		require.Equal(t, want, kebab(in))
	}
}

func TestLogConfigMasksSecrets(t *testing.T) {
	cli := sample{Token: "hidden"}
	code, _, stderr := call(&cli, "--token=hidden", "--nats=nats://u:hidden@a:1", "--redis=redis://:hidden@b:2", "--lock-redis=c:3", "--lock-redis=redis://:hidden@d:4")
	require.Zero(t, code, stderr)
	var out bytes.Buffer
	LogConfig(NewLogger("sample", cli.Config, &out), &cli)

	require.NotContains(t, out.String(), "hidden")
	require.Equal(t, 1, strings.Count(out.String(), "\n"))
	require.Equal(t, 1, strings.Count(out.String(), `"app":`))
	var line map[string]any
	require.NoError(t, json.Unmarshal(out.Bytes(), &line))
	delete(line, "time")
	require.NotEmpty(t, line["commit"])
	delete(line, "commit")
	require.Equal(t, map[string]any{
		"level": "INFO", "msg": "configuration", "service": "sample", "app": appname.Default, "version": version,
		"nats": "nats://u:***@a:1", "redis": "redis://:***@b:2", "lock-redis": "c:3 redis://:***@d:4",
		"token": "***", "shards": "16", "admin": "127.0.0.1:0",
		"pprof": "false", "stop-timeout": "10s", "log-level": "info", "log-format": "auto",
	}, line)
}

// TestFlagNames holds the names that LogConfig makes against kong's own.
func TestFlagNames(t *testing.T) {
	var cli sample
	ctx, err := Parse("sample", "", &cli, nil)
	require.NoError(t, err)
	var out bytes.Buffer
	LogConfig(NewLogger("sample", cli.Config, &out), &cli)
	for _, flag := range ctx.Model.Flags {
		if flag.Name != "help" {
			require.Contains(t, out.String(), `"`+flag.Name+`":`)
		}
	}
}

func TestLogFormatAndLevel(t *testing.T) {
	for format, want := range map[string]string{"text": "level=WARN", "json": `"level":"WARN"`, "auto": `"level":"WARN"`} {
		var out bytes.Buffer
		log := NewLogger("x", Config{LogFormat: format, LogLevel: "warn"}, &out)
		log.Info("quiet")
		log.Warn("loud")
		require.Contains(t, out.String(), want)
		require.NotContains(t, out.String(), "quiet")
	}
}
