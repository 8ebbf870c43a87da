// Package compat runs the programs of an earlier version, built from the commit that docs/compat-base names, and today's side
// by side, on one log and one store: a release is rolled out process by process, and must be able to go back.
package compat

import (
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"example.com/lockstep/deployments/local/programs"
	"example.com/lockstep/pkg/servicefile"
	"example.com/lockstep/pkg/testkit"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestLongCompatibility runs them all on the same servers, each with an app of its own, so that the programs are built once.
func TestLongCompatibility(t *testing.T) {
	testkit.Long(t)
	tree := checkOut(t, commit(t))
	shared := startServers(t)
	before := version{"before", programsOf(t, buildBase(t, tree))}
	now := version{"now", programsOf(t, programs.BuildServices(t))}
	for _, test := range []struct {
		name string
		run  func(t *testing.T, servers *servers, first, second version)
	}{
		{"side by side", testSideBySide},
		{"handed over", testHandedOver},
		{"router and worker", testRouterAndWorker},
		{"producer", testProducer},
	} {
		for _, pair := range [][2]version{{before, now}, {now, before}} {
			t.Run(test.name+", "+pair[0].name+" and "+pair[1].name, func(t *testing.T) {
				t.Parallel()
				test.run(t, shared, pair[0], pair[1])
			})
		}
	}
}

// version is the programs of one commit.
type version struct {
	name string
	of   map[string]string // paths of its programs, by kind
}

// programsOf returns the first program of each kind, among those that were built into a directory.
func programsOf(t *testing.T, bin string) map[string]string {
	t.Helper()
	paths := make(map[string]string)
	for _, s := range ours(t) {
		paths[s.Kind] = filepath.Join(bin, s.Name)
	}
	return paths
}

// ours are the router, the worker and the producer of the stack's first app.
func ours(t *testing.T) (list []servicefile.Service) {
	t.Helper()
	all, err := servicefile.Read(programs.InRoot(t, servicefile.Path))
	require.NoError(t, err)
	found := make(map[string]bool)
	for _, s := range all {
		if s.App == "" && s.Kind != servicefile.KindAPI && !found[s.Kind] {
			found[s.Kind] = true
			list = append(list, s)
		}
	}
	require.Len(t, list, 3, "%s must list a router, a worker and a producer of the first app", servicefile.Path)
	return list
}
