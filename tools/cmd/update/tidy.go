package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"example.com/lockstep/tools/git"
)

// tidy has go mod tidy write the go.sum of every module in dir, and stages them. One that is left where no module is any more goes.
func tidy(dir string, out io.Writer) error {
	files, err := git.Lines(dir, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", "go.mod", "go.sum", "*/go.mod", "*/go.sum")
	if err != nil {
		return err
	}
	slices.Sort(files)
	files = slices.Compact(files)
	for _, file := range files {
		if strings.Contains("/"+file, "/testdata/") {
			continue
		}
		name := filepath.Join(dir, filepath.FromSlash(file))
		module := filepath.Dir(name)
		_, err := os.Stat(filepath.Join(module, "go.mod"))
		switch {
		case filepath.Base(name) == "go.sum" && err != nil:
			if err := os.Remove(name); err != nil && !os.IsNotExist(err) {
				return err
			}
		case filepath.Base(name) == "go.mod" && err == nil:
			cmd := exec.Command("go", "mod", "tidy")
			cmd.Dir = module
			cmd.Env = append(os.Environ(), "GOWORK=off")
			if said, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("go mod tidy in %s: %w\n%s", filepath.Dir(file), err, strings.TrimSpace(string(said)))
			}
		}
	}
	fmt.Fprintf(out, "go.mod and go.sum of every module are tidy\n")
	return nil
}
