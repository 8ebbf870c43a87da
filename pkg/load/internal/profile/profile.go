// Package profile gives flags their values from a small YAML file: a load that
// is known by name, or somebody's copy of it.
package profile

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v3"
)

// Profile is the values of flags, by their names.
type Profile struct {
	name   string
	values map[string]any
}

// Load reads a profile: one of those in fsys, as NAME.yaml, or a file, if the
// name has a slash or ends in .yaml or .yml.
func Load(name string, fsys embed.FS) (*Profile, error) {
	body, err := read(name, fsys)
	if err != nil {
		return nil, err
	}
	p := &Profile{name: name}
	decoder := yaml.NewDecoder(bytes.NewReader(body))
	if err := decoder.Decode(&p.values); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("profile %s is not YAML of flags and values: %w", name, oneLine(err))
	}
	return p, nil
}

func read(name string, fsys embed.FS) ([]byte, error) {
	if strings.ContainsAny(name, `/\`) || strings.HasSuffix(name, ".yaml") || strings.HasSuffix(name, ".yml") {
		body, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("profile %s cannot be read: %w", name, bare(err))
		}
		return body, nil
	}
	body, err := fsys.ReadFile(name + ".yaml")
	if err != nil {
		return nil, fmt.Errorf("there is no profile %q: want %s, or a file like ./mine.yaml", name, strings.Join(Names(fsys), ", "))
	}
	return body, nil
}

// Names lists the profiles in fsys.
func Names(fsys embed.FS) (names []string) {
	files, _ := fs.Glob(fsys, "*.yaml") // fails on a bad pattern only
	for _, f := range files {
		names = append(names, strings.TrimSuffix(path.Base(f), ".yaml"))
	}
	return names
}

// Resolver gives the flags of one command their values, those that were given
// neither on the command line nor in the environment. except cannot be set so.
func (p *Profile) Resolver(command *kong.Node, except ...string) (kong.Resolver, error) {
	flags := make(map[string]*kong.Flag)
	var known []string
	for _, f := range command.Flags {
		if !slices.Contains(except, f.Name) && !f.Hidden {
			flags[f.Name] = f
			known = append(known, f.Name)
		}
	}
	for name, value := range p.values {
		if flags[name] == nil {
			return nil, fmt.Errorf("profile %s: there is no %q to set: want %s", p.name, name, strings.Join(known, ", "))
		}
		if value == nil {
			return nil, fmt.Errorf("profile %s: %s has no value", p.name, name)
		}
	}
	return kong.ResolverFunc(func(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
		if flags[flag.Name] != flag || fromEnvironment(flag) {
			return nil, nil
		}
		return plain(p.values[flag.Name]), nil
	}), nil
}

func fromEnvironment(flag *kong.Flag) bool {
	return slices.ContainsFunc(flag.Envs, func(name string) bool {
		_, set := os.LookupEnv(name)
		return set
	})
}

// plain writes numbers as a command line has them.
func plain(v any) any {
	switch v := v.(type) {
	case nil, []any, bool, string:
		return v
	default:
		return fmt.Sprint(v)
	}
}

func oneLine(err error) error { return errors.New(strings.Join(strings.Fields(err.Error()), " ")) }

// bare takes the file's name off an error that will say it anyway.
func bare(err error) error {
	if e := (*fs.PathError)(nil); errors.As(err, &e) {
		return e.Err
	}
	return err
}
