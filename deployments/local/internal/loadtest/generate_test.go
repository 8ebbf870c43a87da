package loadtest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/lockstep/deployments/local/programs"
	"example.com/lockstep/pkg/testkit"
)

// Events of another shape, by a changed generate, are verified as any others. The worker here drops those that do not arrive so.
func testGenerate(t *testing.T, bin string) {
	t.Parallel()
	changed := t.TempDir()
	require.NoError(t, os.Symlink(filepath.Join(bin, "router"), filepath.Join(changed, "router")))
	overlay, module := programs.Overlay{}, testkit.ModulePath()
	overlay.Edit(t, programs.InRoot(t, "services/producer/generate.go"), map[string]string{
		`import "` + module + `/pkg/load"`: "import (\n\t\"fmt\"\n\n\t\"" + module + "/pkg/load\"\n)",
		"return load.Event{Payload: d.Content()}": `return load.Event{
		Key: "account", Type: "deposited", Headers: map[string]string{"Region": "eu"},
		Payload: fmt.Appendf(d.Buf, "{\"amount\":%d}", d.Rand.IntN(1000)),
	}`,
	})
	overlay.Edit(t, programs.InRoot(t, "services/worker/handler.go"), map[string]string{
		"\t\"strconv\"\n": "\t\"regexp\"\n\t\"strconv\"\n",
		"	acc.Balance += amount(ev.Data)\n": `	ok, _ := regexp.MatchString("^load-[.a-z0-9]+-account-[0-9]+ deposited eu [0-9]+ {.amount.:[0-9]+}$",
		ev.Key+" "+ev.Type+" "+ev.Headers()["Region"]+" "+string(ev.Data))
	if !ok {
		return nil
	}
	acc.Balance += amount(ev.Data)
`,
	})
	programs.BuildModule(t, "services/producer", changed, overlay.Flag(t))
	programs.BuildModule(t, "services/worker", changed, overlay.Flag(t))
	s := up(t, bin, changed)
	for _, flags := range [][]string{nil, {"--producers=2"}} {
		l := programs.StartLoad(t, changed, s.dir, append([]string{"--rate=2000", "--events=2000", "--keys=100"}, flags...)...)
		l.Passed()
	}
}
