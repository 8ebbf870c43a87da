package loadtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/lockstep/deployments/local/programs"
	"example.com/lockstep/pkg/appname"
	"example.com/lockstep/pkg/servicefile"
	"example.com/lockstep/pkg/stackfile"
)

// Two apps run in one stack, each with routers and workers of its own: each is loaded and verified, and the death of one app's
// worker costs the other nothing.
func testApps(t *testing.T, bin string) {
	services := t.TempDir()
	for name, program := range map[string]string{"router": "router", "worker": "worker", "shop": "worker", "producer": "producer", "orders": "producer"} {
		require.NoError(t, os.Symlink(filepath.Join(bin, program), filepath.Join(services, name)))
	}
	list := filepath.Join(services, "services.json")
	require.NoError(t, servicefile.Write(list, []servicefile.Service{
		{Name: "router", Kind: servicefile.KindRouter}, {Name: "worker", Kind: servicefile.KindWorker}, {Name: "producer", Kind: servicefile.KindProducer},
		{Name: "shop", Kind: servicefile.KindWorker, App: "shop"}, {Name: "orders", Kind: servicefile.KindProducer, App: "shop"},
	}))
	s := up(t, bin, services, "--services="+list)
	require.Equal(t, []string{appname.Default, "shop"}, s.file.Apps())
	load := func(flags ...string) *programs.Load {
		args := append([]string{"load", "--dir=" + s.dir, "--bin=" + services, "--services=" + list}, flags...)
		return programs.StartLoadAs(t, exec.Command(filepath.Join(bin, "local"), args...))
	}
	status := func(flags ...string) string {
		out, err := exec.Command(filepath.Join(bin, "local"), append([]string{"status", "--dir=" + s.dir}, flags...)...).CombinedOutput()
		require.NoError(t, err, string(out))
		return string(out)
	}

	first, other := s.process(t, "worker-1"), s.process(t, "shop-worker-1")
	require.Equal(t, appname.Default, first.App)
	require.Equal(t, "shop", other.App)
	of := status()
	require.Contains(t, of, "app "+appname.Default+", epoch 1")
	require.Contains(t, of, "app shop runs here, too: go tool task status APP=shop DIR=")
	require.NotContains(t, of, "shop-worker")
	of = status("--app=shop")
	require.Contains(t, of, "app shop, epoch 1")
	require.Contains(t, of, "shop-worker-1")
	require.Contains(t, of, "shop-worker-2")

	fences := s.fences(t)
	own, shop := load("--", "--rate=500", "--duration=4s", "--keys=100"), load("--app=shop", "--", "--rate=500", "--duration=4s", "--keys=100")
	own.Await(programs.Sending)
	shop.Await(programs.Sending)
	require.NoError(t, syscall.Kill(other.PID, syscall.SIGKILL))
	own.Passed()
	shop.Passed()
	require.Equal(t, fences, s.fences(t), "no shard of the first app has moved")

	after, err := stackfile.Read(s.dir)
	require.NoError(t, err)
	for _, p := range after.Processes {
		before := s.process(t, p.Name)
		if p.Name == other.Name {
			require.NotEqual(t, before.PID, p.PID)
		} else {
			require.Equal(t, before, p)
		}
	}

	refused := load("--app=shops")
	require.Equal(t, 1, refused.ExitCode())
	require.Equal(t, []string{`local: the stack runs no app "shops": it runs ` + appname.Default + `, shop`}, refused.Seen)
}

// fences returns the fence of each shard of the first app.
func (s *stack) fences(t *testing.T) map[int]uint64 {
	t.Helper()
	fences := make(map[int]uint64)
	for _, w := range s.status(t) {
		for _, shard := range w.Shards {
			fences[shard.Shard] = shard.Fence
		}
	}
	return fences
}
