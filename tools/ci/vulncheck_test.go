package ci

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/vuln/scan"
)

// program calls strings.Repeat, and not strings.Title.
const program = "package main\n\nimport \"strings\"\n\nfunc main() { println(strings.Repeat(\"a\", 2)) }\n"

// TestVulncheck finds a made-up vulnerability in a program that calls the function, and none in one that does not, in a database
// of one entry: the real one is on the network.
func TestVulncheck(t *testing.T) {
	for function, code := range map[string]int{"Repeat": 3, "Title": 0} {
		t.Run(function, func(t *testing.T) {
			module := t.TempDir()
			write(t, module, "go.mod", "module example.net/m\n\ngo 1.26.0\n")
			write(t, module, "main.go", program)
			out, exit := vulncheck(t, module, database(t, function))
			require.Equal(t, code, exit, out)
			require.Equal(t, code != 0, strings.Contains(out, "#1: GO-2000-0001"), out)
		})
	}
}

// database makes one with an entry about a function of package strings, and returns its directory.
func database(t *testing.T, function string) string {
	t.Helper()
	dir := t.TempDir()
	const modified = `"modified":"2000-01-01T00:00:00Z"`
	write(t, dir, "index/db.json", `{`+modified+`}`)
	write(t, dir, "index/modules.json", `[{"path":"stdlib","vulns":[{"id":"GO-2000-0001",`+modified+`}]}]`)
	write(t, dir, "ID/GO-2000-0001.json", `{"schema_version":"1.3.1","id":"GO-2000-0001",`+modified+`,"details":"Made up.",
		"affected":[{"package":{"name":"stdlib","ecosystem":"Go"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"}]}],
		"ecosystem_specific":{"imports":[{"path":"strings","symbols":["`+function+`"]}]}}],
		"database_specific":{"url":"https://example.net/GO-2000-0001"}}`)
	return dir
}

// vulncheck runs govulncheck on a module, and returns its output and exit code.
func vulncheck(t *testing.T, module, db string) (string, int) {
	t.Helper()
	var out strings.Builder
	cmd := scan.Command(context.Background(), "-C", module, "-db=file://"+filepath.ToSlash(db), "./...")
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.Env = append(os.Environ(), "GOWORK=off")
	require.NoError(t, cmd.Start())
	err := cmd.Wait()
	var coded interface{ ExitCode() int }
	if errors.As(err, &coded) {
		return out.String(), coded.ExitCode()
	}
	require.NoError(t, err, out.String())
	return out.String(), 0
}

func write(t *testing.T, dir, file, text string) {
	t.Helper()
	file = filepath.Join(dir, file)
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
}
