// Package repository has the tests of files that serve the whole repository: tasks, the workflows, what editors read.
package repository

import (
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/lockstep/tools/modules"
)

// root returns the repository's.
func root(t *testing.T) string {
	t.Helper()
	dir, err := modules.Root(".")
	require.NoError(t, err)
	return dir
}

// task runs Task in the repository's root, and returns what it prints.
func task(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command("go", append([]string{"tool", "task", "--color=false"}, args...)...)
	cmd.Dir = root(t)
	cmd.Env = append(os.Environ(), "NO_COLOR=1") // also for the task that a task calls; with CI set it would have colours
	out, err := cmd.Output()
	require.NoError(t, err, "%s", out)
	return string(out)
}

// A list of tasks is a map only if each task says what it is for. One that is not for users is internal.
func TestEachTaskHasADescription(t *testing.T) {
	var list struct {
		Tasks []struct{ Name, Desc string }
	}
	require.NoError(t, json.Unmarshal([]byte(task(t, "--list-all", "--json")), &list))
	require.Greater(t, len(list.Tasks), 15)
	for _, is := range list.Tasks {
		require.NotEmpty(t, is.Desc, "the task %s has no desc", is.Name)
		require.NotRegexp(t, `\.$`, is.Desc, "task %s", is.Name)
	}
}

// Task alone says where to start, and the tasks that it names there are in the list below.
func TestTaskAlone(t *testing.T) {
	start, list, found := strings.Cut(task(t), "\n")
	require.True(t, found)
	named := regexp.MustCompile("`go tool task ([a-z:-]+)`").FindAllStringSubmatch(start, -1)
	require.NotEmpty(t, named, start)
	for _, name := range named {
		require.Regexp(t, `(?m)^\* `+name[1]+`: +\S`, list)
	}
}

// A stack that a task starts runs the listed services, and the app that is asked for.
func TestTasksOfAStackNameItsServicesAndApp(t *testing.T) {
	for _, name := range []string{"up", "dev", "demo", "demo:parking", "chaos", "load", "profile"} {
		cmd := exec.Command("go", "tool", "task", "--color=false", "--dry", "--verbose", name, "APP=shop")
		cmd.Dir = root(t)
		says, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", says)
		require.Contains(t, string(says), "/services/services.json", name)
		require.Contains(t, string(says), "--app=shop", name)
	}
}
