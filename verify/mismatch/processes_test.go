package mismatch

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/stretchr/testify/require"

	"example.com/lockstep/deployments/local/process"
	"example.com/lockstep/deployments/local/programs"
	"example.com/lockstep/deployments/local/stackdir"
	"example.com/lockstep/pkg/stackfile"
)

// run runs a program to its end and returns its exit code and its output.
func (r *rig) run(path string, args ...string) (code int, said string) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), programs.Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	out, _ := cmd.CombinedOutput()
	require.NotNil(r.t, cmd.ProcessState, "%s cannot be run", path)
	return cmd.ProcessState.ExitCode(), string(out)
}

// end ends a process of the stack by a signal, and waits for its end.
func (r *rig) end(name string, sig syscall.Signal) *process.Process {
	r.t.Helper()
	p, err := r.Signal(name, sig)
	require.NoError(r.t, err)
	<-p.Ended()
	return p
}

// hold keeps a process of the stack from being started again until release is called.
func (r *rig) hold(name string) (release func()) {
	r.t.Helper()
	release, err := r.Hold(name)
	require.NoError(r.t, err)
	return release
}

// restartWorkers ends the workers in order, and waits until new ones answer in their place.
func (r *rig) restartWorkers() {
	r.t.Helper()
	before := make(map[string]bool)
	all, both := r.status()
	require.True(r.t, both, r.states())
	for _, w := range all {
		before[w.ID] = true
	}
	for _, name := range workers {
		r.end(name, syscall.SIGTERM)
	}
	r.eventually(func() bool {
		all, both := r.status()
		for _, w := range all {
			both = both && !before[w.ID]
		}
		return both
	}, "the workers do not come back")
}

// process returns a process of the stack by its name.
func (r *rig) process(name string) stackfile.Process {
	r.t.Helper()
	all := r.File().Processes
	i := slices.IndexFunc(all, func(p stackfile.Process) bool { return p.Name == name })
	require.GreaterOrEqual(r.t, i, 0)
	return all[i]
}

// log returns what a process has logged.
func (r *rig) log(name string) string {
	r.t.Helper()
	text, err := os.ReadFile(r.logFile(name))
	require.NoError(r.t, err)
	return string(text)
}

func (r *rig) logFile(name string) string {
	return filepath.Join(r.dir, stackdir.LogsDir, name+".log")
}

// start starts another program beside the stack's. It is killed when the test ends.
func (r *rig) start(name, path string, args ...string) *process.Process {
	r.t.Helper()
	p, err := r.starter.Start(process.Spec{Name: name, Path: path, Args: args, Log: r.logFile(name)})
	require.NoError(r.t, err)
	r.t.Cleanup(func() {
		p.Signal(syscall.SIGKILL)
		<-p.Ended()
	})
	return p
}

// awaitLog waits until a process has logged some text.
func (r *rig) awaitLog(name, text string) {
	r.t.Helper()
	r.eventually(func() bool { return strings.Contains(r.log(name), text) }, "%s does not say: %s", name, text)
}
