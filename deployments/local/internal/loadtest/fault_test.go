package loadtest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/lockstep/deployments/local/programs"
)

// fault is a mistake that a worker makes with the key ending in -7, once.
type fault struct {
	name  string
	does  string // cases of a switch over the counter of the key's event
	kind  string // as the report names it
	count string // of each kind, as the table prints it
}

var faults = []fault{
	{"an event is dropped", `case "5": return nil`,
		"lost", "lost 1, duplicated 0, reordered 0, unproven keys 0, unknown keys 0"},
	{"an event is applied twice", `case "5": _ = apply(ctx, acc, ev)`,
		"duplicated", "lost 0, duplicated 1, reordered 0, unproven keys 0, unknown keys 0"},
	{"two events are swapped", `case "5": held = append(held, ev.Data...); return nil; case "6": _ = apply(ctx, acc, ev); ev.Data = held`,
		"reordered", "lost 0, duplicated 0, reordered 1, unproven keys 0, unknown keys 0"},
}

// A fault in a single event of 3,000 is found and named.
func testFaults(t *testing.T, bin string) {
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			s := up(t, bin, f.build(t, bin))
			l := s.load(t, "--rate=2000", "--events=3000", "--keys=50")
			r := l.Ended(98)
			require.Equal(t, "fail", r.Verdict)
			require.Len(t, r.Violations, 1)
			require.Regexp(t, `^`+f.kind+`: key load-[a-z0-9]+-7: `, r.Violations[0])
			require.Contains(t, l.Out.String(), "\n"+f.count+", unfinished 0\n  "+r.Violations[0]+"\n")

			page, err := os.ReadFile(filepath.Join(l.Dir, "report.html"))
			require.NoError(t, err)
			require.Contains(t, string(page), `<section class="verdict fail"`)
			require.Contains(t, string(page), "<li>"+r.Violations[0]+"</li>")
		})
	}
}

// edits put the fault into the worker's handler.
func (f fault) edits() map[string]string {
	const apply = "(_ context.Context, acc *Account, ev consume.Event) error {\n"
	return map[string]string{
		`"strconv"` + "\n": `"strconv"` + "\n\t\"strings\"\n",
		"func Apply" + apply: `
var held []byte

func Apply(ctx context.Context, acc *Account, ev consume.Event) error {
	if strings.HasSuffix(ev.Key, "-7") {
		counter, _, _ := strings.Cut(string(ev.Data), " ")
		switch counter { ` + f.does + ` }
	}
	return apply(ctx, acc, ev)
}

func apply` + apply,
	}
}

// build builds a worker with the fault and returns its directory, in which the router is too.
func (f fault) build(t *testing.T, bin string) (faulty string) {
	t.Helper()
	faulty = t.TempDir()
	require.NoError(t, os.Symlink(filepath.Join(bin, "router"), filepath.Join(faulty, "router")))
	overlay := programs.Overlay{}
	overlay.Edit(t, programs.InRoot(t, "services/worker/handler.go"), f.edits())
	programs.BuildModule(t, "services/worker", faulty, overlay.Flag(t))
	return faulty
}
