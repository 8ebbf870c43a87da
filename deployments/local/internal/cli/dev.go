package cli

import (
	"context"
	"fmt"
	"path/filepath"

	development "example.com/lockstep/deployments/local/internal/dev"
	"example.com/lockstep/deployments/local/stack"
)

type dev struct {
	up   `embed:""`
	Root string `default:"${bin}/.." type:"existingdir" placeholder:"DIR" help:"The repository, whose folder services has the sources. Default: the one above that of the programs."`
}

// Run runs the stack until a signal stops it, and keeps its services up to date.
func (c *dev) Run(e *environment) error {
	return c.run(e, func(ctx context.Context, s *stack.Stack) error {
		cfg := development.Config{Root: filepath.Clean(c.Root), Bin: c.Bin, Restart: s.Renew, Say: func(text string) { fmt.Fprintln(e.Out, text) }}
		for _, p := range s.Programs() {
			cfg.Programs = append(cfg.Programs, development.Program(p))
		}
		d, err := development.New(ctx, cfg)
		if err != nil {
			return err
		}
		fmt.Fprintf(e.Out, "watching %s: a program whose sources change is built again, and its processes restart one by one\n", cfg.Root)
		return d.Run(ctx)
	})
}
