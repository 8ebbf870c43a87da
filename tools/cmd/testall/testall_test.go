package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// workspace makes a go.work of the given files in a new directory and enters it.
func workspace(t *testing.T, files map[string]string) {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	t.Setenv("GOWORK", "")
	t.Setenv("CI", "")
	t.Setenv(redisVariable, "miniredis")
}

const testFile = "package x\n\nimport (\n\t\"os\"\n\t\"testing\"\n)\n\nvar _ = os.Exit\n\n"

func module(name string) string { return "module example.com/" + name + "\n\ngo 1.26.0\n" }

func TestWorkspaces(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles with -race")
	}
	for name, c := range map[string]struct {
		files map[string]string
		ok    bool
		want  []string // in the output
		last  string
	}{
		"passes, with a module that has no package": {
			files: map[string]string{
				"go.work": "go 1.26.0\n\nuse (\n\t./a\n\t./b\n)\n", "a/go.mod": module("a"), "b/go.mod": module("b"),
				"a/x_test.go": testFile + `
func TestA(t *testing.T) { t.Run("sub", func(*testing.T) {}) }
func TestB(t *testing.T) { t.Skip("needs a real redis-server: " + os.Getenv("TESTKIT_REDIS")) }`,
				"a/y/y.go": "package y\n",
			},
			ok: true,
			want: []string{"Redis: miniredis", "ok   example.com/a ", "example.com/a/y: no tests",
				"Tests that did not run (1):\n  example.com/a TestB: needs a real redis-server: miniredis\n"},
			last: "2 passed, 0 failed, 1 skipped",
		},
		"failures in two modules": {
			files: map[string]string{
				"go.work": "go 1.26.0\n\nuse (\n\t./a\n\t./b\n)\n", "a/go.mod": module("a"), "b/go.mod": module("b"),
				"a/x_test.go": testFile + "\nfunc TestA(t *testing.T) { t.Error(`first`); t.Error(`second`) }\nfunc TestB(t *testing.T) {}",
				"b/x_test.go": testFile + "\nfunc TestC(t *testing.T) {}\nfunc TestMain(m *testing.M) { m.Run(); println(`leak`); os.Exit(3) }",
			},
			want: []string{"first", "second", "FAIL example.com/a TestA", "leak", "FAIL example.com/b "},
			last: "2 passed, 2 failed, 0 skipped",
		},
		"does not compile": {
			files: map[string]string{
				"go.work": "go 1.26.0\n\nuse ./a\n", "a/go.mod": module("a"),
				"a/x_test.go": testFile + "func TestA(t *testing.T) { nonsense() }",
			},
			want: []string{"undefined: nonsense", "FAIL example.com/a "},
			last: "0 passed, 1 failed, 0 skipped",
		},
		"panics": {
			files: map[string]string{
				"go.work": "go 1.26.0\n\nuse ./a\n", "a/go.mod": module("a"),
				"a/x_test.go": testFile + "func TestA(t *testing.T) { panic(`ouch`) }",
			},
			want: []string{"ouch", "FAIL example.com/a TestA"},
			last: "0 passed, 1 failed, 0 skipped",
		},
		"a race": {
			files: map[string]string{
				"go.work": "go 1.26.0\n\nuse ./a\n", "a/go.mod": module("a"),
				"a/x_test.go": testFile + `
func TestA(t *testing.T) {
	n, done := 0, make(chan bool)
	go func() { n++; close(done) }()
	n++
	<-done
}`,
			},
			want: []string{"DATA RACE"},
			last: "0 passed, 1 failed, 0 skipped",
		},
		"no test": {
			files: map[string]string{"go.work": "go 1.26.0\n\nuse ./a\n", "a/go.mod": module("a"), "a/x.go": "package x\n"},
			want:  []string{"no test ran"},
			last:  "0 passed, 0 failed, 0 skipped",
		},
		"broken module": {
			files: map[string]string{"go.work": "go 1.26.0\n\nuse ./a\n", "a/go.mod": module("a"), "a/x.go": "pakage x\n"},
			want:  []string{"expected 'package'"},
			last:  "0 passed, 1 failed, 0 skipped",
		},
		"no workspace": {
			want: []string{"no go.work here"},
			last: "0 passed, 1 failed, 0 skipped",
		},
	} {
		t.Run(name, func(t *testing.T) {
			workspace(t, c.files)
			if race, _ := raceFlag(t.Context(), io.Discard); name == "a race" && race == nil {
				t.Skip("needs a C compiler")
			}
			var out strings.Builder
			if ok := testAll(t.Context(), &out, nil); ok != c.ok {
				t.Errorf("ok = %v, want %v", ok, c.ok)
			}
			for _, want := range c.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("not in the output: %q", want)
				}
			}
			if !strings.HasSuffix(out.String(), "\n"+c.last+"\n") {
				t.Errorf("the last line is not %q", c.last)
			}
			if t.Failed() {
				t.Log(out.String())
			}
		})
	}
}

func TestFlagsArePassedOn(t *testing.T) {
	workspace(t, map[string]string{
		"go.work": "go 1.26.0\n\nuse ./a\n", "a/go.mod": module("a"),
		"a/x_test.go": testFile + "\nfunc TestA(t *testing.T) { t.Error() }\nfunc TestB(t *testing.T) {}",
	})
	var out strings.Builder
	if !testAll(t.Context(), &out, []string{"-run", "TestB"}) {
		t.Error(out.String())
	}
}

func TestVerify(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles with -race")
	}
	const tests = `
func TestQuick(t *testing.T) {}
func TestLong(t *testing.T) { t.Log("length " + os.Getenv("TESTKIT_LENGTH")); t.Fail() }`
	files := map[string]string{
		"go.work": "go 1.26.0\n\nuse ./a\n", "a/go.mod": module("a"), "a/x_test.go": testFile + tests, "a/y/y_test.go": "package y\nnonsense",
	}
	for _, c := range []struct {
		name, args string
		verify     bool
		want       []string
		last       string
	}{
		{"deleted", "", false, []string{"verify/ is not here", "a/y", "nonsense"}, "1 passed, 1 failed, 0 skipped"},
		{"deleted, long", "-long=3", false, []string{"verify/ is not here", "verify/sim/ is not here", "length 3"}, "0 passed, 1 failed, 0 skipped"},
		{"without the long tests", "", true, []string{"go tool task test:long", "ok   example.com/verify "}, "2 passed, 1 failed, 0 skipped"},
		{"the long tests and all of sim", "-long=3", true, []string{
			"FAIL example.com/a TestLong", "FAIL example.com/verify TestLong", "FAIL example.com/verify/sim TestLong", "length 3", "     verify: ",
		}, "1 passed, 3 failed, 0 skipped"},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := maps.Clone(files)
			if c.verify {
				for _, name := range []string{"verify", "verify/sim"} {
					files[name+"/go.mod"], files[name+"/x_test.go"] = module(name), testFile+tests
				}
			}
			workspace(t, files)
			var out strings.Builder
			testAll(t.Context(), &out, strings.Fields(c.args))
			for _, want := range c.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("not in the output: %q", want)
				}
			}
			if !strings.HasSuffix(out.String(), "\n"+c.last+"\n") {
				t.Errorf("the last line is not %q", c.last)
			}
			if t.Failed() {
				t.Log(out.String())
			}
		})
	}
}

func TestChooseRedis(t *testing.T) {
	missing := errors.New("not on PATH")
	for _, c := range []struct {
		asked, ci string
		present   bool
		choice    string
		err       string
	}{
		{asked: "", present: true, choice: "redis-server"},
		{asked: "auto", present: true, ci: "true", choice: "redis-server"},
		{asked: "redis-server", present: true, choice: "redis-server"},
		{asked: "miniredis", present: true, ci: "true", choice: "miniredis"},
		{asked: "", choice: "miniredis"},
		{asked: "auto", ci: "true", err: "under CI=true the tests need redis-server: not on PATH"},
		{asked: "redis-server", err: redisVariable + "=redis-server: not on PATH"},
		{asked: "other", present: true, err: redisVariable + `="other": want redis-server, miniredis or auto`},
	} {
		t.Run(fmt.Sprintf("%s,CI=%s,%v", c.asked, c.ci, c.present), func(t *testing.T) {
			getenv := func(name string) string { return map[string]string{redisVariable: c.asked, "CI": c.ci}[name] }
			lookPath := func(string) (string, error) {
				if c.present {
					return "/bin/redis-server", nil
				}
				return "", missing
			}
			got, err := chooseRedis(getenv, lookPath)
			if fmt.Sprint(err) != c.err && (err != nil || c.err != "") {
				t.Errorf("error %v, want %s", err, c.err)
			}
			if got.choice != c.choice {
				t.Errorf("choice %q, want %q", got.choice, c.choice)
			}
			if err == nil && !strings.Contains(got.says, c.choice) {
				t.Errorf("says %q", got.says)
			}
		})
	}
}
