package rename

import (
	"bytes"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const root = "../.."

// copied copies files of this repository into a new directory.
func copied(t *testing.T, files []string) string {
	t.Helper()
	dir := t.TempDir()
	for _, file := range files {
		b, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(file)))
		require.NoError(t, err)
		write(t, dir, map[string]string{file: string(b)})
	}
	return dir
}

// mayBear are the files that still bear the old name after a fork, and why. In a pattern, ** is any path.
var mayBear = []struct{ files, why string }{
	{"README.md", "prose about the template"},
	{"CHANGELOG.md", "what was, was so"},
	{"docs/**.md", "prose about the template, which is the fork's upstream"},
	{"docs/report.schema.json", "the name of a format"},
	{"bench/**", "compares the template with its peers"},
	{"Taskfile.yml", "the task bench says what is compared"},
	{"verify/model.py", "prose about the template"},
	{"pkg/frame/frame.proto", "the name of a format"},
	{"pkg/frame/framepb/frame.pb.go", "the name of a format"},
	{"pkg/frame/frame.go", "a header of stored messages"},
	{"pkg/aside/aside.proto", "the name of a format"},
	{"pkg/aside/asidepb/aside.pb.go", "the name of a format"},
	{"pkg/frame/testdata/golden/headers.txt", "a header of stored messages"},
	{"pkg/topology/streams.go", "metadata of streams"},
	{"pkg/topology/testdata/golden/stream-metadata.json", "metadata of streams"},
	{"pkg/route/*_test.go", "a header of stored messages"},
	{"pkg/worker/*_test.go", "a header of stored messages"},
}

// TestFilesThatBearTheOldName forks this repository and lists the files that still bear its name. In a fork, whose name may
// be any word, the name is that of its modules.
func TestFilesThatBearTheOldName(t *testing.T) {
	files, err := Files(root)
	require.NoError(t, err)
	from, err := Of(root)
	require.NoError(t, err)
	_, err = ReadRecord(root)
	forked := err == nil
	name := []byte(from.App)
	if forked {
		name = []byte(from.Module + "/pkg")
	}
	dir := copied(t, files)
	_, err = Tree(dir, from, Names{Module: "example.net/q", App: "q"})
	require.NoError(t, err)

	used := make(map[string]bool)
	for _, file := range files {
		b, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(file)))
		require.NoError(t, err)
		if bytes.IndexByte(b, 0) >= 0 || !bytes.Contains(bytes.ToLower(b), bytes.ToLower(name)) {
			continue
		}
		allowed := false
		for _, m := range mayBear {
			if pattern(m.files).MatchString(file) {
				allowed, used[m.files] = true, true
			}
		}
		if forked && (file == RecordFile || strings.HasPrefix(file, "tools/") && strings.HasSuffix(file, "_test.go")) {
			continue // made-up names are there
		}
		if !allowed {
			t.Errorf("%s bears the name %s after a fork", file, name)
		}
	}
	for _, m := range mayBear {
		present := false
		for _, file := range files {
			present = present || pattern(m.files).MatchString(file)
		}
		if !forked && present && !used[m.files] {
			t.Errorf("%s may bear the old name (%s) and does not", m.files, m.why)
		}
	}
}

func pattern(files string) *regexp.Regexp {
	expression := strings.ReplaceAll(regexp.QuoteMeta(files), `\*\*`, `.*`)
	return regexp.MustCompile("^" + strings.ReplaceAll(expression, `\*`, `[^/]*`) + "$")
}

// Generated code of protobuf holds names with their lengths.
func TestGeneratedCodeOfARenamedTreeRuns(t *testing.T) {
	files, err := Files(root)
	require.NoError(t, err)
	var ours []string
	for _, file := range files {
		dir := path.Dir(file)
		if dir == "pkg" || slices.ContainsFunc([]string{"pkg/appname/", "pkg/frame/", "pkg/aside/", "pkg/internal/golden/"}, func(of string) bool {
			return strings.HasPrefix(dir+"/", of)
		}) {
			ours = append(ours, file)
		}
	}
	from, err := Of(root)
	require.NoError(t, err)
	for _, to := range []Names{names[1], names[4], names[7], names[8]} {
		t.Run(to.Module, func(t *testing.T) {
			dir := copied(t, ours)
			_, err := Tree(dir, from, to)
			require.NoError(t, err)
			test := exec.Command("go", "test", "./frame/...", "./aside/...")
			test.Dir, test.Env = filepath.Join(dir, "pkg"), append(os.Environ(), "GOWORK=off", "GOFLAGS=-buildvcs=false")
			out, err := test.CombinedOutput()
			require.NoError(t, err, "%s", out)
		})
	}
}
