package stackfile

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/lockstep/pkg/internal/golden"
)

// goldenFile is a stack of two apps, as it is read. Its supervisor is process 1, which always runs.
func goldenFile() File {
	return File{
		Schema: Schema, PID: 1, NATS: "nats://127.0.0.1:4222", Redis: "127.0.0.1:6379", App: "shop",
		Processes: []Process{
			{Name: "redis", Role: RoleRedis, PID: 11},
			{Name: "router-1", Role: RoleRouter, PID: 12, Admin: "127.0.0.1:9001", App: "shop"},
			{Name: "worker-1", Role: RoleWorker, PID: 13, Admin: "127.0.0.1:9002", App: "shop"},
			{Name: "billing-1", Role: RoleWorker, PID: 14, Admin: "127.0.0.1:9003", App: "billing"},
			{Name: "front-1", Role: RoleAPI, PID: 15, Admin: "127.0.0.1:9004", App: "shop", HTTP: "127.0.0.1:8080"},
		},
	}
}

func TestGoldenFile(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, Write(dir, goldenFile()))
	today, err := os.ReadFile(filepath.Join(dir, Name))
	require.NoError(t, err)
	kept := golden.Check(t, "stack-2.json", today[:len(today)-1])
	require.Equal(t, goldenFile(), readKept(t, kept))
}

// A file of schema 1 is of a stack with one app.
func TestGoldenFileOfSchema1(t *testing.T) {
	f := readKept(t, golden.Read(t, "stack-1.json"))
	want := goldenFile()
	want.Schema, want.Processes = 1, want.Processes[:3]
	require.Equal(t, want, f)
	require.Equal(t, []string{"shop"}, f.Apps())
}

// readKept reads the text of a stack.json.
func readKept(t *testing.T, text []byte) File {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, Name), text, 0o600))
	f, err := Read(dir)
	require.NoError(t, err)
	return f
}
