package loadtest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// fault is a mistake that a worker makes with the key ending in -7, once. The handler takes no part in it.
type fault struct {
	name    string
	misses  string // cases of a switch over the number of the key's event that returns true if the event is not applied
	applies string // cases of one that comes before it is applied
	kind    string // as the report names it
	count   string // of each kind, as the table prints it
}

var faults = []fault{
	{"an event is dropped", `case "5": return true`, ``,
		"lost", "lost 1, duplicated 0, reordered 0, unproven keys 0, unknown keys 0"},
	{"an event is applied twice", ``, `case "5": _ = a.once(ctx, h, state)`,
		"duplicated", "lost 0, duplicated 1, reordered 0, unproven keys 0, unknown keys 0"},
	{"two events are swapped", `case "5": kept = append(kept, a.ev.Data...); return true`, `case "6": _ = a.once(ctx, h, state); a.ev.Data = kept`,
		"reordered", "lost 0, duplicated 0, reordered 1, unproven keys 0, unknown keys 0"},
}

// A fault in a single event of 3,000 is found and named, with the handler that comes with the worker and with one whose state
// shows neither.
func testFaults(t *testing.T, bin string) {
	for _, of := range []*application{&ledger, &tags} {
		for _, f := range faults {
			t.Run(of.name+": "+f.name, func(t *testing.T) {
				t.Parallel()
				l := up(t, bin, of.build(t, bin, f.edits())).load(t, "--rate=2000", "--events=3000", "--keys=50")
				r := l.Ended(98)
				require.Equal(t, "fail", r.Verdict)
				require.Len(t, r.Violations, 1)
				require.Regexp(t, `^`+f.kind+`: key load-[a-z0-9]+-(tags-)?7: `, r.Violations[0])
				require.Contains(t, l.Out.String(), "\n"+f.count+", unfinished 0\n  "+r.Violations[0]+"\n")

				page, err := os.ReadFile(filepath.Join(l.Dir, "report.html"))
				require.NoError(t, err)
				require.Contains(t, string(page), `<section class="verdict fail"`)
				require.Contains(t, string(page), "<li>"+r.Violations[0]+"</li>")
			})
		}
	}
}

// edits put the fault into the worker, at the place where it applies events.
func (f fault) edits() map[string]string {
	return map[string]string{
		"\t\"runtime/debug\"\n":                   "\t\"runtime/debug\"\n\t\"strings\"\n",
		"switch err := h.Apply(ctx, state, a.ev)": "switch err := a.apply(ctx, h, state)",
		"proof: a.proof.Apply(a.ev.Data)":         "proof: a.proof",
		"// run runs the handler.\n": `
var kept []byte

func (a *attempt) number() string {
	if !strings.HasSuffix(a.key, "-7") {
		return ""
	}
	counter, _, _ := strings.Cut(string(a.ev.Data), " ")
	return counter
}

func (a *attempt) misses() bool {
	switch a.number() { ` + f.misses + ` }
	return false
}

func (a *attempt) apply(ctx context.Context, h Handler, state any) error {
	if a.misses() {
		return nil
	}
	switch a.number() { ` + f.applies + ` }
	return a.once(ctx, h, state)
}

func (a *attempt) once(ctx context.Context, h Handler, state any) error {
	a.proof = a.proof.Apply(a.ev.Data)
	return h.Apply(ctx, state, a.ev)
}

// run runs the handler.
`,
	}
}
