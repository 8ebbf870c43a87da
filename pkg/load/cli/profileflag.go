package cli

import (
	"fmt"

	"github.com/alecthomas/kong"

	"example.com/lockstep/pkg/load/internal/profile"
	"example.com/lockstep/pkg/load/profiles"
)

// profileFlag names a profile, which gives the command's other flags their values.
type profileFlag string

// BeforeResolve is called by kong, once it has parsed the command line.
func (f profileFlag) BeforeResolve(parsed *kong.Context, trace *kong.Path) error {
	name := string(parsed.FlagValue(trace.Flag).(profileFlag))
	if name == "" {
		return fmt.Errorf("--profile is empty")
	}
	p, err := profile.Load(name, profiles.FS)
	if err != nil {
		return err
	}
	r, err := p.Resolver(parsed.Selected(), notInProfiles...)
	if err != nil {
		return err
	}
	parsed.AddResolver(r)
	return nil
}

// notInProfiles are flags that say where a load runs and what it leaves behind,
// not what it is.
var notInProfiles = []string{"help", "profile", "stack", "nats", "app", "out", "pprof", "annotations"}
