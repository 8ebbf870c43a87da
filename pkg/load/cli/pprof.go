package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
)

const mutexProfileFraction = 100 // one contended lock of so many

// startProfiles begins to profile this process and returns what writes the profiles into dir.
func startProfiles(dir string) (finish func() error, err error) {
	path := func(what string) string { return filepath.Join(dir, "producer."+what+".pprof") }
	cpu, err := os.Create(path("cpu"))
	if err != nil {
		return nil, fmt.Errorf("cannot write profiles: %w", err)
	}
	runtime.SetMutexProfileFraction(mutexProfileFraction)
	if err := pprof.StartCPUProfile(cpu); err != nil {
		_ = cpu.Close()
		return nil, fmt.Errorf("cannot profile: %w", err)
	}
	return func() error {
		pprof.StopCPUProfile()
		if err := cpu.Close(); err != nil {
			return fmt.Errorf("write profiles: %w", err)
		}
		for _, what := range []string{"allocs", "mutex"} {
			f, err := os.Create(path(what))
			if err != nil {
				return fmt.Errorf("write profiles: %w", err)
			}
			if err := pprof.Lookup(what).WriteTo(f, 0); err != nil {
				_ = f.Close()
				return fmt.Errorf("write profiles: %w", err)
			}
			if err := f.Close(); err != nil {
				return fmt.Errorf("write profiles: %w", err)
			}
		}
		return nil
	}, nil
}
