// Command inmodules runs a command once in every module of this repository, those outside go.work with GOWORK=off. It goes on
// after a failure; the exit code is 0 only if the command's was 0 in each module.
//
//	inmodules [-packages] COMMAND [ARGUMENT...]
//
// With -packages it leaves out modules that have no Go files, which only pin tools.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"example.com/lockstep/tools/modules"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, ".", os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "inmodules:", err)
		os.Exit(1)
	}
}

// run runs the command of args in the modules of the repository around dir. The command's output, and a line before that of each
// module, go to out.
func run(ctx context.Context, dir string, args []string, out io.Writer) error {
	packages := len(args) > 0 && args[0] == "-packages"
	if packages {
		args = args[1:]
	}
	if len(args) == 0 {
		return errors.New("no command is given: inmodules [-packages] COMMAND [ARGUMENT...]")
	}
	root, err := modules.Root(dir)
	if err != nil {
		return err
	}
	list, err := modules.List(root)
	if err != nil {
		return err
	}
	var failed []string
	for _, module := range list {
		if packages && !module.Packages {
			continue
		}
		if ctx.Err() != nil {
			return fmt.Errorf("interrupted before %s", module.Dir)
		}
		fmt.Fprintf(out, "--- %s\n", module.Dir)
		if err := runIn(ctx, root, module, args, out); err != nil {
			fmt.Fprintf(out, "    FAILED in %s: %v\n", module.Dir, err)
			failed = append(failed, module.Dir)
		}
	}
	if len(failed) > 0 {
		return fmt.Errorf("%s failed in %s", args[0], strings.Join(failed, ", "))
	}
	return nil
}

func runIn(ctx context.Context, root string, module modules.Module, args []string, out io.Writer) error {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = filepath.Join(root, filepath.FromSlash(module.Dir))
	cmd.Stdout, cmd.Stderr = out, out
	work := "off"
	if module.InWorkspace {
		work = filepath.Join(root, "go.work")
	}
	cmd.Env = append(os.Environ(), "GOWORK="+work)
	return cmd.Run()
}
