package cli

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/lockstep/deployments/local/command"
	"example.com/lockstep/pkg/appname"
	"example.com/lockstep/pkg/stackfile"
)

// The name is that of the running stack's first app, or else of a stack that would be started.
func TestApp(t *testing.T) {
	dir := t.TempDir()
	list := filepath.Join(dir, "services.json")
	require.NoError(t, os.WriteFile(list, []byte(`[{"name":"orders","kind":"worker","app":"shop"}]`), 0o600))
	prints := func(name string, flags ...string) {
		t.Helper()
		code, out, errOut := local(append([]string{"app", "--dir=" + dir}, flags...)...)
		require.Equal(t, command.ExitOK, code, errOut)
		require.Equal(t, name+"\n", out)
	}
	prints(appname.Default)
	prints("shop", "--services="+list)
	require.NoError(t, stackfile.Write(dir, stackfile.File{PID: os.Getpid(), NATS: "nats://127.0.0.1:1", App: "bank"}))
	prints("bank", "--services="+list)

	require.NoError(t, stackfile.Remove(dir))
	code, _, errOut := local("app", "--dir="+dir, "--services="+filepath.Join(dir, "absent"))
	require.Equal(t, command.ExitError, code)
	require.Contains(t, errOut, "read the list of services")
}

// Commands that take an app name those that there are.
func TestUnknownApp(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, stackfile.Write(dir, stackfile.File{PID: os.Getpid(), NATS: "nats://127.0.0.1:1", App: "bank",
		Processes: []stackfile.Process{{Name: "shop-worker-1", Role: stackfile.RoleWorker, App: "shop"}}}))
	for _, name := range []string{"status", "load", "profile"} {
		code, _, errOut := local(name, "--dir="+dir, "--app=shops")
		require.Equal(t, command.ExitError, code)
		require.Equal(t, "local: the stack runs no app \"shops\": it runs bank, shop\n", errOut)
	}
}
