package service

import (
	"bytes"
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestVersionFlag(t *testing.T) {
	var out, errOut bytes.Buffer
	require.Equal(t, 0, run(&out, &errOut, "router", "", &struct{}{}, []string{"--version"}))
	require.Equal(t, VersionLine("router")+"\n", out.String())
	require.Regexp(t, `^router devel \(commit \S+, go1\.\S+, `+runtime.GOOS+"/"+runtime.GOARCH+`\)\n$`, out.String())
	require.Empty(t, errOut.String())
}

func TestCommit(t *testing.T) {
	for _, c := range []struct{ revision, modified, want string }{
		{"", "", "unknown"},
		{"0a1b2c", "false", "0a1b2c"},
		{"0a1b2c", "true", "0a1b2c+"},
	} {
		info := &debug.BuildInfo{}
		if c.revision != "" {
			info.Settings = []debug.BuildSetting{{Key: "vcs.revision", Value: c.revision}, {Key: "vcs.modified", Value: c.modified}}
		}
		require.Equal(t, c.want, commitOf(func() (*debug.BuildInfo, bool) { return info, true }))
	}
	require.Equal(t, "unknown", commitOf(func() (*debug.BuildInfo, bool) { return nil, false }))
}
