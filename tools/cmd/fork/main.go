// Command fork makes the template in the working directory yours: it gives the modules and the default app other names.
//
//	fork MODULE [APP]
//
// MODULE is what the paths of the modules begin with, such as github.com/acme/orders. APP is the default app; without it the
// last element of MODULE. The tree must be one of git's without changes that are not committed, so that git undoes the fork.
// Afterwards the changes are staged, and .template.json holds where they come from, for update-template.
package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"example.com/lockstep/tools/rename"
)

func main() {
	if err := run(".", os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "fork:", err)
		os.Exit(1)
	}
}

// run forks the tree in dir.
func run(dir string, args []string, out io.Writer) error {
	to, err := names(args)
	if err != nil {
		return err
	}
	from, err := rename.Of(dir)
	if err != nil {
		return err
	}
	if from == to {
		return fmt.Errorf("these are the names that the tree has: MODULE=%s APP=%s", to.Module, to.App)
	}
	record, err := committed(dir)
	if err != nil {
		return err
	}
	record.From, record.To = from, to
	switch before, err := rename.ReadRecord(dir); {
	case err == nil:
		record.Before = &before
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	changed, err := rename.Tree(dir, from, to)
	if err != nil {
		return fmt.Errorf("%w; `git reset --hard` undoes the part that is done", err)
	}
	if err := rename.WriteRecord(dir, record); err != nil {
		return err
	}
	if err := stage(dir); err != nil {
		return err
	}
	report(out, record, changed)
	return nil
}

// names returns the names that the arguments ask for.
func names(args []string) (rename.Names, error) {
	if len(args) < 1 || len(args) > 2 || args[0] == "" {
		return rename.Names{}, errors.New("want MODULE=github.com/acme/orders, the path that your modules begin with, and APP=orders if it is not the last element")
	}
	to := rename.Names{Module: args[0]}
	given := len(args) == 2 && args[1] != ""
	if given {
		to.App = args[1]
	} else {
		to.App = rename.AppOf(to.Module)
	}
	if err := to.Check(); err != nil {
		if !given && (rename.Names{Module: to.Module, App: "app"}).Check() == nil {
			err = fmt.Errorf("%w; give one with APP=", err)
		}
		return rename.Names{}, err
	}
	return to, standard(to.Module)
}

// report tells what was done and what to do next.
func report(out io.Writer, r rename.Record, changed []string) {
	fmt.Fprintf(out, "modules: %s/... is %s/...\n", r.From.Module, r.To.Module)
	fmt.Fprintf(out, "app:     %s is %s; variables of the environment begin with %s_\n", r.From.App, r.To.App, r.To.EnvPrefix())
	kinds := make(map[string]int)
	for _, file := range changed {
		kind := path.Ext(file)
		if base := path.Base(file); base == "go.mod" || base == "go.work" {
			kind = base
		}
		kinds[kind]++
	}
	var counts []string
	for _, kind := range []string{".go", "go.mod", "go.work", ".proto", ".md"} {
		if kinds[kind] > 0 {
			counts = append(counts, fmt.Sprintf("%d %s", kinds[kind], kind))
		}
	}
	fmt.Fprintf(out, "changed: %d files (%s), and wrote %s\n\n", len(changed), strings.Join(counts, ", "), rename.RecordFile)
	fmt.Fprintf(out, "All of it is staged. See it: git diff --staged. Keep it: git commit -m %q. Undo it: git reset --hard\n", "Fork as "+r.To.App)
	fmt.Fprintln(out, "Next: go tool task demo")
}
