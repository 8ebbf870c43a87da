package service

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/alecthomas/kong"
)

// A release is linked with -X for these two; `task release` does that.
var (
	version = "devel"
	commit  = ""
)

// VersionLine is what a program's --version prints: its name, version and commit, and the Go and the platform it was built with
// and for.
func VersionLine(program string) string {
	return fmt.Sprintf("%s %s (commit %s, %s, %s/%s)", program, version, commitOf(debug.ReadBuildInfo), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// commitOf returns the commit that the program was linked with, else the one that Go recorded, with "+" if files had changed
// after it.
func commitOf(read func() (*debug.BuildInfo, bool)) string {
	found := commit
	if info, ok := read(); ok && found == "" {
		changed := false
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				found = s.Value
			case "vcs.modified":
				changed = s.Value == "true"
			}
		}
		if changed {
			found += "+"
		}
	}
	if found == "" {
		return "unknown"
	}
	return found
}

// versionFlags is what WithVersion adds to a program's flags.
type versionFlags struct {
	Version kong.VersionFlag `help:"Print version and commit, and end."`
}

// WithVersion gives a program the flag --version.
func WithVersion(program string) kong.Option {
	return kong.OptionFunc(func(k *kong.Kong) error {
		if err := (kong.Vars{"version": VersionLine(program)}).Apply(k); err != nil {
			return err
		}
		return kong.Embed(&versionFlags{}).Apply(k)
	})
}
