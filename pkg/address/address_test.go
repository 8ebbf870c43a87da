package address

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestSplit(t *testing.T) {
	for in, want := range map[string][]string{
		"":                               {},
		"a:1":                            {"a:1"},
		"a:1 b:2":                        {"a:1", "b:2"},
		" a:1\tb:2\n":                    {"a:1", "b:2"},
		"nats://a:1,nats://b:2":          {"nats://a:1", "nats://b:2"},
		"nats://a:1, tls://b:2":          {"nats://a:1", "tls://b:2"},
		"nats://a:1,ws://b:2 wss://c":    {"nats://a:1", "ws://b:2", "wss://c"},
		"nats://u:12,34@a:1":             {"nats://u:12,34@a:1"},
		"redis://u:1,2@a:1,redis://b:2":  {"redis://u:1,2@a:1", "redis://b:2"},
		"redis://u:a,b://c@a:1":          {"redis://u:a,b://c@a:1"},
		"a:1,b:2":                        {"a:1,b:2"},
		"unix:///run/a,b,rediss://u@c:1": {"unix:///run/a,b", "rediss://u@c:1"},
	} {
		require.Equal(t, want, Split(in), in)
	}
}

func TestMask(t *testing.T) {
	for in, want := range map[string]string{
		"":                                    "",
		"127.0.0.1:6379":                      "127.0.0.1:6379",
		"nats://127.0.0.1:4222":               "nats://127.0.0.1:4222",
		"nats://u:p@a:1":                      "nats://u:***@a:1",
		"nats://token@a:1":                    "nats://***@a:1",
		"u:p@a:1":                             "u:***@a:1",
		"redis://:p@a:1/0":                    "redis://:***@a:1/0",
		"nats://u:p@a:1,nats://u2:p2@b:2":     "nats://u:***@a:1,nats://u2:***@b:2",
		"nats://a:1,nats://u:p@b:2,tls://c:3": "nats://a:1,nats://u:***@b:2,tls://c:3",
		"redis://u:p@ss,w/ord@a:1":            "redis://u:***@a:1",
		"u:p@a,nats://b:2":                    "u:***@a,nats://b:2",
		"redis://a:1?x=1&password=p&addr=b:2": "redis://a:1?x=1&password=***&addr=b:2",
		"redis://a:1?password=p@ss#w,redis://u:q@b:2": "redis://a:1?password=***,redis://u:***@b:2",
		"rediss://u:p@a:1?Sentinel_Password=q r":      "rediss://u:***@a:1?Sentinel_Password=*** r",
	} {
		require.Equal(t, want, Mask(in), in)
	}
}

func TestMaskHidesEveryPassword(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		password := rapid.StringMatching(`[A-Z,@/:?#%]{0,8}SECRET[A-Z,@/:?#%]{0,8}`).Draw(t, "password")
		address := rapid.SampledFrom([]string{"redis://u:", "nats://u:", "u:", "nats://a:1,nats://u:", "nats://u:p@a:1,u:"}).Draw(t, "start") + password + "@host:1"
		got := Mask(address)
		require.NotContains(t, got, "SECRET")
		require.True(t, strings.HasSuffix(got, "@host:1"), got)
	})
}

func TestMaskOfARefusedAddressHidesTheRestOfAPassword(t *testing.T) {
	require.Equal(t, "redis://a:1?addr=b:2&password=***", MaskRefused("redis://a:1?addr=b:2&password=p&q=SECRET"))
	require.Equal(t, `bad --redis="redis://a:1?password=***": why`, MaskIn(`bad --redis="redis://a:1?password=SECRET": why`, nil))
}
