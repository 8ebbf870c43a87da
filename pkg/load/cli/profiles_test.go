package cli

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/lockstep/pkg/appname"
	"example.com/lockstep/pkg/load/internal/profile"
	"example.com/lockstep/pkg/load/profiles"
	"example.com/lockstep/pkg/service"
)

func TestEveryProfileIsALoad(t *testing.T) {
	names := profile.Names(profiles.FS)
	for _, promised := range []string{"smoke", "steady", "ramp", "spike", "soak", "hotkey", "backlog", "find-max"} {
		require.Contains(t, names, promised)
	}
	for _, name := range names {
		c := parse(t, "--profile="+name)
		require.EqualValues(t, name, c.Profile)
		_, err := c.config("a", "r", 0)
		require.NoError(t, err, name)
		require.True(t, c.FindMax > 0 || len(c.Threshold) > 0, "%s judges something", name)
	}
	require.True(t, ptr(parse(t, "--profile=backlog")).Backlog)
	require.Equal(t, 50*time.Millisecond, ptr(parse(t, "--profile=find-max")).FindMax)
}

func TestAGivenFlagWinsOverTheProfile(t *testing.T) {
	c := parse(t, "--profile=steady", "--duration=2s", "--rate=7", "--threshold=failed<5")
	require.Equal(t, 2*time.Second, *c.Duration)
	require.Equal(t, "7", c.Rate.String())
	require.Equal(t, 5*time.Second, c.WarmUp, "from the profile")
	require.Len(t, c.Threshold, 1)

	t.Setenv(appname.EnvPrefix+"_RATE", "8")
	require.Equal(t, "8", ptr(parse(t, "--profile=steady")).Rate.String(), "and so does the environment")
}

func write(t *testing.T, body string) string {
	path := filepath.Join(t.TempDir(), "mine.yaml")
	require.NoError(t, os.WriteFile(path, []byte(body), 0o644))
	return path
}

func TestAProfileOfOnesOwn(t *testing.T) {
	c := parse(t, "--profile="+write(t, "rate: 5\nkeys: 20\nbacklog: true\nsize: 64-80\nthreshold: apply.p99<1s\n"))
	require.Equal(t, "5", c.Rate.String())
	require.Equal(t, 20, *c.Keys)
	require.True(t, c.Backlog)
	require.Equal(t, "64-80", c.Size.String())
	require.Len(t, c.Threshold, 1)
	parse(t, "--profile="+write(t, "# nothing\n"))

	t.Setenv(appname.EnvPrefix+"_PROFILE", "steady")
	require.Equal(t, "20000", ptr(parse(t)).Rate.String())
}

func TestProfilesThatAreRefused(t *testing.T) {
	for body, says := range map[string]string{
		"speed: 5\n":                    `there is no "speed" to set: want rate, duration,`,
		"nats: nats://x\n":              `there is no "nats" to set`,
		"out: /etc/passwd\n":            `there is no "out" to set`,
		"profile: smoke\n":              `there is no "profile" to set`,
		"rate: fast\n":                  `rate "fast" is none of`,
		"rate:\n":                       "rate has no value",
		"rate: [1\n":                    "is not YAML of flags and values",
		"5\n":                           "is not YAML of flags and values",
		"rate: 5\nrate: 6\n":            "is not YAML of flags and values",
		"keys: {a: 1}\n":                "keys",
		"threshold: [bad]\n":            `threshold "bad" has none of`,
		"backlog: perhaps\n":            "backlog",
		"find-max: 1s\nbacklog: true\n": "give one of them",
	} {
		_, code, err := call("load", "--profile="+write(t, body))
		require.Equal(t, service.ExitUsage, code, body)
		require.ErrorContains(t, err, says, body)
		require.NotContains(t, err.Error(), "\n")
	}
}
