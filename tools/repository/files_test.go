package repository

import (
	"encoding/json"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/lockstep/tools/modules"
)

// read returns the text of a file of the repository.
func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root(t), file))
	require.NoError(t, err)
	return string(text)
}

// Dependabot updates the modules of the repository: those of go.work, and those outside it. A fork may delete bench and verify.
func TestDependabotKnowsEachModule(t *testing.T) {
	_, list, found := strings.Cut(read(t, ".github/dependabot.yml"), "directories:\n")
	require.True(t, found)
	list, _, _ = strings.Cut(list, "schedule:")
	var patterns []string
	for _, m := range regexp.MustCompile(`(?m)^ +- /(\S+)$`).FindAllStringSubmatch(list, -1) {
		patterns = append(patterns, m[1])
	}
	all, err := modules.List(root(t))
	require.NoError(t, err)
	fitting := make(map[string]bool)
	for _, module := range all {
		i := slices.IndexFunc(patterns, func(p string) bool { fits, _ := path.Match(p, module.Dir); return fits })
		require.GreaterOrEqual(t, i, 0, ".github/dependabot.yml does not list %s", module.Dir)
		fitting[patterns[i]] = true
	}
	for _, p := range patterns {
		if top, _, _ := strings.Cut(p, "/"); top != "bench" && top != "verify" {
			require.True(t, fitting[p], ".github/dependabot.yml lists %s, and there is no such module", p)
		}
	}
}

// The task build:all, which a workflow runs, compiles each module of the workspace but the tools, which no platform runs.
func TestBuildForEachPlatformHasEachModule(t *testing.T) {
	listed := regexp.MustCompile(`for module in (.*); do`).FindStringSubmatch(read(t, "Taskfile.yml"))
	require.NotNil(t, listed)
	require.Contains(t, listed[1], "{{range fromJson .SERVICES}}services/{{.name}} {{end}}", "services come from services.json")
	all, err := modules.List(root(t))
	require.NoError(t, err)
	for _, module := range all {
		if module.InWorkspace && module.Dir != "tools" && path.Dir(module.Dir) != "services" {
			require.Contains(t, strings.Fields(strings.ReplaceAll(listed[1], "{{end}}", "")), module.Dir, "build:all does not compile it")
		}
	}
}

// The workflows run tasks that are there, and say which.
func TestWorkflowsRunTasks(t *testing.T) {
	list := task(t, "--list")
	for _, file := range []string{"ci.yml", "release.yml"} {
		text := read(t, ".github/workflows/"+file)
		for _, m := range regexp.MustCompile(`task: \[(.+)\]`).FindAllStringSubmatch(text, -1) {
			for _, name := range strings.Split(m[1], ",") {
				name, _, _ = strings.Cut(strings.Trim(name, " '"), " ")
				require.Contains(t, list, "\n* "+name+": ")
			}
		}
		for _, m := range regexp.MustCompile(`go tool task ([a-z:]+)`).FindAllStringSubmatch(text, -1) {
			require.Contains(t, list, "\n* "+m[1]+": ")
		}
	}
}

// What editors read is JSON.
func TestFilesOfEditors(t *testing.T) {
	for _, file := range []string{".vscode/settings.json", ".vscode/extensions.json", ".vscode/launch.json", ".devcontainer/devcontainer.json"} {
		require.True(t, json.Valid([]byte(read(t, file))), file)
	}
}

// A fork need not rewrite these: they do not name our modules.
func TestFilesWithoutOurNames(t *testing.T) {
	all, err := modules.List(root(t))
	require.NoError(t, err)
	module := ""
	for _, m := range all {
		if m.Dir == "pkg" {
			module = path.Dir(m.Path)
		}
	}
	require.NotEmpty(t, module)
	files := []string{
		".editorconfig", ".golangci.yml", ".vscode/settings.json", ".vscode/launch.json", ".vscode/extensions.json", ".devcontainer/devcontainer.json",
		".github/CODEOWNERS", ".github/dependabot.yml", ".github/ISSUE_TEMPLATE/bug.yml", ".github/workflows/ci.yml", ".github/workflows/release.yml",
		"CONTRIBUTING.md", "SECURITY.md",
	}
	for _, file := range files {
		require.NotContains(t, read(t, file), module, file)
	}
}
