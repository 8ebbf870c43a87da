package faults

import (
	"context"
	"slices"
	"syscall"

	"example.com/lockstep/deployments/local/process"
)

// end ends a process by a signal. The stack starts it again.
func (r *run) end(name string, sig syscall.Signal) fault {
	var was *process.Process
	return fault{
		inject: func(context.Context) (what string, err error) {
			was, err = r.stack.Signal(name, sig)
			return signalName(sig) + " " + name, err
		},
		recovered: func(ctx context.Context) error { return r.stack.AwaitReady(ctx, name, was) },
	}
}

func signalName(sig syscall.Signal) string {
	switch sig {
	case syscall.SIGKILL:
		return "kill -9"
	case syscall.SIGTERM:
		return "SIGTERM to"
	}
	return sig.String()
}

// stop pauses a process. What the process was about to do, it does when it continues.
func (r *run) stop(name string) fault {
	return fault{
		inject: func(context.Context) (string, error) {
			_, err := r.stack.Signal(name, syscall.SIGSTOP)
			return "SIGSTOP to " + name, err
		},
		mend: func() error {
			_, err := r.stack.Signal(name, syscall.SIGCONT)
			return err
		},
		recovered: func(ctx context.Context) error { return r.stack.AwaitReady(ctx, name, nil) },
	}
}

// restartAll ends one service after the other and waits for each to be back. It leaves a service alone during another fault
// of it.
func (r *run) restartAll() fault {
	return fault{
		inject: func(context.Context) (string, error) { return "rolling restart", nil },
		recovered: func(ctx context.Context) error {
			for _, name := range r.services() {
				if err := r.restart(ctx, name); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func (r *run) restart(ctx context.Context, name string) error {
	held := r.hold(name)
	if !held.TryLock() {
		return nil
	}
	defer held.Unlock()
	f := r.end(name, syscall.SIGTERM)
	if _, err := f.inject(ctx); err != nil {
		return err
	}
	return f.recovered(ctx)
}

func (r *run) services() []string { return slices.Concat(routers(r.shape), workers(r.shape)) }
