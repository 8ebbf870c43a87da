package consume

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// mutation takes one rule of the protocol away. A test must find it.
type mutation struct {
	name  string
	edits []edit
	test  []string // package below pkg, and the test's arguments; nil: histories
	says  string   // what the test's output says then; "": a promise is broken
}

// edit replaces a text that occurs just once in a file below pkg.
type edit struct{ file, old, new string }

func in(file, old, new string) []edit { return []edit{{file, old, new}} }

var mutations = []mutation{
	{name: "a key may have two frames in flight", edits: in("internal/window/window.go",
		"if k.ready || k.frame != nil || k.heldBy != 0", "if k.ready || k.heldBy != 0")},
	{name: "a given-up event does not hold its key back", edits: in("internal/window/resolve.go",
		"if !stored && e.Seq > e.key.heldBy {", "if false {")},
	{name: "a session is renewed with frames in flight", edits: in("internal/window/session.go",
		"if len(w.frames) > 0 {", "if false {"),
		test: []string{"internal/window", "-test.run=^TestRenewedSessionWaitsForAllInFlight$"}, says: "drained before it is renewed"},
	{name: "a refusal counts for the attempts before it", edits: in("internal/window/answer.go",
		"case f.Attempt == 1:", "case true:")},
	{name: "a router acknowledges without a lease", edits: in("internal/gather/gather.go",
		"if !valid || term != p.term {", "if false {")},
	{name: "a router acknowledges in another term of its lease", edits: in("internal/gather/gather.go",
		"if !valid || term != p.term {", "if !valid {")},
	{name: "workers ignore the floor", edits: in("dedup/dedup.go",
		"if seq < p.floor {", "if seq < p.base*64 {")},
	{name: "workers ignore the set of seqs", edits: in("dedup/dedup.go",
		"if p.words[i]&bit != 0 {", "if false {")},
	{name: "workers apply what comes of a forgotten publisher", edits: in("dedup/dedup.go",
		"case p == nil && s.BirthTime().Add(Retention).Before(at):", "case false:")},
	// Our own publishers' floors pass all of a session before the next one begins, so that the pipeline as a whole would
	// not notice; others' need not.
	{name: "a new session does not close the ones before", edits: in("dedup/dedup.go",
		"case s.Generation < p.generation:", "case false:"),
		test: []string{"dedup", "-test.run=^TestGenerations$"}, says: "the late copy of an older generation"},
	{name: "a commit compares positions", edits: in("store/storetest/memory.go",
		"if r.Version != c.Old {", "if c.Position.Seq < r.Position.Seq {")},
	{name: "state is loaded without looking at the version", edits: in("store/storetest/memory.go",
		"if v.m.kept.shards[shard].Version != version {", "if false {")},
	{name: "the fence is the store's alone", edits: in("store/storetest/memory.go",
		"max(r.Fence+1, revision)", "r.Fence+1")},
	{name: "a shard reads its log from one message too late", edits: in("consume/shard.go",
		"return min(s.since, s.position.Seq)", "return min(s.since, s.position.Seq) + 1")},
	{name: "a state is kept though its handler failed", edits: in("consume/cache.go",
		"for _, e := range c.dirty {\n\t\tc.drop(e)", "for _, e := range c.dirty {\n\t\te.changed = false")},
	{name: "states are kept after a commit failed", edits: []edit{
		{"consume/shard.go", "cache: newCache(b)", "cache: oldCache(b)"},
		{"consume/cache.go", "func newCache(", "var old = map[*budget]*cache{}\n\nfunc oldCache(b *budget) *cache {\n\tif old[b] == nil {\n\t\told[b] = newCache(b)\n\t}\n\treturn old[b]\n}\n\nfunc newCache("},
		{"consume/cache.go", "for c.lru.prev != &c.lru {", "for false {"},
	}},
	{name: "nothing bounds how far seqs run ahead of the floor", edits: in("internal/window/window.go",
		"len(f.Data)+size > frame.MaxFrameBytes || w.seq+1-w.floor > frame.MaxSpan {", "len(f.Data)+size > frame.MaxFrameBytes {"),
		test: []string{"internal/window", "-test.run=^TestSpanIsBounded$"}, says: "is not less than or equal to"},
	{name: "Redis commits by the position", edits: in("store/commit.lua",
		"if version ~= ARGV[1] then", "local at = redis.call('HGET', KEYS[1], 'position') or ''\nif at > ARGV[3] then"),
		test: []string{"store", "-test.run=^Test(Miniredis|RedisServer)$"}, says: "a_stale_commit_and_a_stale_load"},
	{name: "Redis loads without looking at the version", edits: in("store/load.lua",
		"if redis.call('HGET', KEYS[1], 'version') ~= ARGV[1] then", "if false then"),
		test: []string{"store", "-test.run=^Test(Miniredis|RedisServer)$"}, says: "a_stale_commit_and_a_stale_load"},
}

// Every rule matters: without it a kept test fails. Each mutated copy is built beside the sources, by way of an overlay.
func TestMutationsAreFound(t *testing.T) {
	for _, m := range mutations {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			test, says := m.test, m.says
			if test == nil {
				test = []string{"consume", "-test.run=^TestHistories$", "-histories=20000"}
			}
			if says == "" {
				says = violated
			}
			binary := buildMutated(t, m.edits, test[0])
			cmd := exec.Command(binary, test[1:]...)
			cmd.Dir = t.TempDir() // rapid leaves what it found where it runs
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			require.ErrorAs(t, err, &exit, "not found. It said:\n%s", out)
			require.Contains(t, string(out), says)
			for line := range strings.Lines(string(out)) {
				if strings.Contains(line, says) {
					t.Log(strings.TrimSpace(line))
					break
				}
			}
		})
	}
}

// buildMutated builds the tests of a package with edits made, and returns the binary.
func buildMutated(t *testing.T, edits []edit, pkg string) string {
	t.Helper()
	dir := t.TempDir()
	texts := make(map[string]string) // by absolute name
	for _, e := range edits {
		name, err := filepath.Abs(filepath.Join("..", e.file))
		require.NoError(t, err)
		if _, read := texts[name]; !read {
			b, err := os.ReadFile(name)
			require.NoError(t, err)
			texts[name] = string(b)
		}
		require.Equal(t, 1, strings.Count(texts[name], e.old), "%q in %s: the source has changed, and the mutation must too", e.old, e.file)
		texts[name] = strings.Replace(texts[name], e.old, e.new, 1)
	}
	replace := make(map[string]string)
	if pkg == "consume" { // histories need no servers: without them, it links in a third of the time
		tests, err := filepath.Glob("*_test.go")
		require.NoError(t, err)
		for _, test := range tests {
			if !strings.HasPrefix(test, "history_") {
				name, err := filepath.Abs(test)
				require.NoError(t, err)
				replace[name] = ""
			}
		}
	}
	for name, text := range texts {
		replace[name] = filepath.Join(dir, filepath.Base(name))
		require.NoError(t, os.WriteFile(replace[name], []byte(text), 0o600))
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600))
	binary := filepath.Join(dir, "mutated.test")
	build := exec.Command("go", "test", "-c", "-overlay", filepath.Join(dir, "overlay.json"), "-ldflags=-s -w", "-o", binary, ".")
	build.Dir = filepath.Join("..", pkg)
	out, err := build.CombinedOutput()
	require.NoError(t, err, "the mutated copy does not compile:\n%s", out)
	return binary
}
