package main

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The worker with a handler that is slow, hangs or fails, for measuring, keeps in step with the worker's other files.
func TestTrialWorkerBuilds(t *testing.T) {
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	into := t.TempDir()
	build := exec.Command("go", "build", "-overlay=bench/testdata/trial/overlay.json", "-o", into+"/", "./services/worker")
	build.Dir, build.Env = root, append(build.Environ(), "GOWORK="+filepath.Join(root, "go.work"))
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	help, err := exec.Command(filepath.Join(into, "worker"), "run", "--help").CombinedOutput()
	if err != nil || !strings.Contains(string(help), "--slow=20ms") {
		t.Fatalf("%v: %s", err, help)
	}
}
