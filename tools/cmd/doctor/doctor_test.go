package main

import (
	"errors"
	"maps"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// programs of a machine on which nothing is missing; each is a shell script.
var programs = map[string]string{
	"go":           `case $2 in GOVERSION) echo go1.26.3 ;; CGO_ENABLED) echo 1; echo gcc -m64 ;; GOCACHE) echo "$HOME/cache" ;; esac`,
	"gcc":          "",
	"redis-server": "echo 'Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64'",
	"docker":       "echo 28.2.2",
	"git":          "echo git version 2.39.5",
	"python3":      "echo Python 3.11.7",
}

// place makes a machine whose PATH has these programs and no others; a script of "-" leaves one out.
func place(t *testing.T, changed map[string]string) machine {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("did not run: the programs of this test are shell scripts")
	}
	root, bin := t.TempDir(), t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(root, "go.work"), []byte("go 1.26.0\n"), 0o600))
	all := maps.Clone(programs)
	maps.Copy(all, changed)
	for name, script := range all {
		if script != "-" {
			require.NoError(t, os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+script+"\n"), 0o700))
		}
	}
	t.Setenv("PATH", bin)
	return machine{
		root: root, natsPort: freePort(t),
		freeBytes: func(string) (uint64, error) { return 100 << 30, nil },
		openFiles: func() (uint64, error) { return 1 << 20, nil },
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := listen(0)
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// examined returns what doctor prints, and whether it misses nothing.
func examined(t *testing.T, m machine) (string, bool) {
	t.Helper()
	var out strings.Builder
	good := examine(t.Context(), &out, m)
	return out.String(), good
}

func TestNothingIsMissing(t *testing.T) {
	out, good := examined(t, place(t, nil))
	require.True(t, good, out)
	require.NotContains(t, out, "->")
	require.Contains(t, out, "Nothing that a stack needs is missing (0 to note)")
	for _, want := range []string{"go1.26.3 (go.work wants 1.26.0)", "7.0.15", "28.2.2", "2.39.5", "3.11.7", "100.0 GiB"} {
		require.Contains(t, out, want)
	}
}

// Each machine lacks one thing: the line about it says so, and a line what to do. Only what a stack needs changes the exit code.
func TestOneThingIsMissing(t *testing.T) {
	for name, c := range map[string]struct {
		programs       map[string]string
		change         func(*machine)
		needed         bool
		found, advised string
	}{
		"no Go":         {programs: map[string]string{"go": "-"}, needed: true, found: "go env GOVERSION", advised: "install Go 1.26.0"},
		"old Go":        {programs: map[string]string{"go": "echo go1.25.9"}, needed: true, found: "go1.25.9, go.work wants 1.26.0", advised: "GOTOOLCHAIN=auto"},
		"no C compiler": {programs: map[string]string{"gcc": "-"}, found: "CC=gcc is not on PATH", advised: "without the race detector"},
		"no C compiler under CI": {
			programs: map[string]string{"gcc": "-"}, change: func(m *machine) { m.ci = true }, needed: true,
			found: "CC=gcc is not on PATH", advised: "under CI=true",
		},
		"cgo is off": {
			programs: map[string]string{"go": `[ $2 = GOVERSION ] && echo go1.26.3 || printf '0\ngcc\n'`},
			found:    "CGO_ENABLED=0", advised: "go env -u CGO_ENABLED",
		},
		"no redis-server":          {programs: map[string]string{"redis-server": "-"}, found: "not on PATH", advised: "apt-get install redis-server"},
		"no redis-server under CI": {programs: map[string]string{"redis-server": "-"}, change: func(m *machine) { m.ci = true }, needed: true, found: "not on PATH", advised: "apt-get"},
		"old redis-server":         {programs: map[string]string{"redis-server": "echo Redis server v=6.0.16"}, needed: true, found: "is 6.0.16", advised: "REDIS=embedded"},
		"broken redis-server":      {programs: map[string]string{"redis-server": "exit 127"}, needed: true, found: "exit status 127", advised: "REDIS=embedded"},
		"odd redis-server":         {programs: map[string]string{"redis-server": "echo unstable"}, found: "does not tell its version", advised: "6.2 or newer"},
		"no docker":                {programs: map[string]string{"docker": "-"}, found: "not on PATH", advised: "devcontainer"},
		"no docker daemon":         {programs: map[string]string{"docker": "exit 1"}, found: "does not answer", advised: "start its daemon"},
		"old git":                  {programs: map[string]string{"git": "echo git version 2.25.1"}, found: "2.25.1", advised: "2.34 or newer"},
		"no python3":               {programs: map[string]string{"python3": "-"}, found: "not on PATH", advised: "go tool task model"},
		"disk is full":             {change: func(m *machine) { m.freeBytes = free(m.root, 1<<20) }, needed: true, found: "0.0 GiB free for this repository", advised: "make room"},
		"disk is small":            {change: func(m *machine) { m.freeBytes = free(os.TempDir(), 5<<30) }, found: "5.0 GiB free for temporary files", advised: "10 GiB"},
		"few open files":           {change: func(m *machine) { m.openFiles = func() (uint64, error) { return 256, nil } }, needed: true, found: "may have 256", advised: "ulimit"},
		"some open files":          {change: func(m *machine) { m.openFiles = func() (uint64, error) { return 4096, nil } }, found: "few for 256 shards", advised: "ulimit"},
	} {
		t.Run(name, func(t *testing.T) {
			m := place(t, c.programs)
			if c.change != nil {
				c.change(&m)
			}
			out, good := examined(t, m)
			require.Equal(t, !c.needed, good, out)
			require.Equal(t, c.needed, strings.Contains(out, string(missing)), out)
			require.Contains(t, out, c.found)
			require.Contains(t, out, c.advised)
		})
	}
}

// free has so much room in one directory, and plenty in others.
func free(dir string, bytes uint64) func(string) (uint64, error) {
	return func(asked string) (uint64, error) {
		if asked == dir {
			return bytes, nil
		}
		return 100 << 30, nil
	}
}

func TestPortIsTaken(t *testing.T) {
	m := place(t, nil)
	l, err := listen(m.natsPort)
	require.NoError(t, err)
	defer l.Close()
	out, good := examined(t, m)
	require.True(t, good, out)
	require.Contains(t, out, "is taken")
	require.Contains(t, out, "-> a stack takes any free port then")
}

func TestLimitsAreUnknown(t *testing.T) {
	m := place(t, nil)
	m.freeBytes = func(string) (uint64, error) { return 0, errUnknown }
	m.openFiles = func() (uint64, error) { return 0, errUnknown }
	out, good := examined(t, m)
	require.True(t, good, out)
	require.Contains(t, out, errUnknown.Error())
}

func TestLimitsOfThisMachine(t *testing.T) {
	m := thisMachine(t.TempDir())
	if free, err := m.freeBytes(m.root); !errors.Is(err, errUnknown) {
		require.NoError(t, err)
		require.NotZero(t, free)
	}
	if files, err := m.openFiles(); !errors.Is(err, errUnknown) {
		require.NoError(t, err)
		require.NotZero(t, files)
	}
}

func TestOlder(t *testing.T) {
	for is, want := range map[string]bool{"6.2": false, "6.2.14": false, "7.0": false, "10.1": false, "6.0.16": true, "5.9": true, "6": false} {
		require.Equal(t, want, older(is, []int{6, 2}), is)
	}
}
