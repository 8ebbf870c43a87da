package dev

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// sources knows which files each program is made of.
type sources struct {
	folders map[string][]string // by program: the packages that it depends on, of this repository
	embeds  map[string]bool     // folders of packages that embed files
}

// matter tells whether a change of a file may change a program.
func (s *sources) matter(path string) bool {
	return isGo(path) || isModule(path) || s.mayEmbed(path)
}

// of tells whether a change of a file may change this program.
func (s *sources) of(program, path string) bool {
	if isModule(path) {
		return true
	}
	return slices.ContainsFunc(s.folders[program], func(folder string) bool {
		return isGo(path) && filepath.Dir(path) == folder || s.embeds[folder] && !isGo(path) && below(path, folder)
	})
}

func (s *sources) mayEmbed(path string) bool {
	for folder := range s.embeds {
		if below(path, folder) {
			return true
		}
	}
	return false
}

func below(path, folder string) bool {
	return strings.HasPrefix(path, folder+string(filepath.Separator))
}

func isGo(path string) bool {
	return strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go")
}

func isModule(path string) bool {
	return slices.Contains([]string{"go.mod", "go.sum", "go.work", "go.work.sum"}, filepath.Base(path))
}

// listed is the part of go list's answer that is used.
type listed struct {
	ImportPath, Dir string
	Standard        bool
	DepOnly         bool
	Deps            []string
	EmbedPatterns   []string
}

// listSources asks Go what the programs depend on. Packages that cannot be loaded are left out.
func listSources(ctx context.Context, root string, programs []string) (*sources, error) {
	args := []string{"list", "-e", "-deps", "-json=ImportPath,Dir,Standard,DepOnly,Deps,EmbedPatterns"}
	for _, p := range programs {
		args = append(args, folderOf(p))
	}
	out, err := run(ctx, root, args...)
	if err != nil {
		return nil, fmt.Errorf("list the sources: %w", err)
	}
	packages := make(map[string]listed)
	var mains []listed
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("list the sources: %w", err)
		}
		if packages[p.ImportPath] = p; !p.DepOnly {
			mains = append(mains, p)
		}
	}
	s := &sources{folders: make(map[string][]string), embeds: make(map[string]bool)}
	for _, main := range mains {
		for _, path := range append(main.Deps, main.ImportPath) {
			p := packages[path]
			if p.Standard || !below(p.Dir, root) {
				continue
			}
			s.folders[filepath.Base(main.Dir)] = append(s.folders[filepath.Base(main.Dir)], p.Dir)
			if len(p.EmbedPatterns) > 0 {
				s.embeds[p.Dir] = true
			}
		}
	}
	return s, nil
}

// compile builds a program. Its error is what the compiler says.
func compile(ctx context.Context, root, program, into string) error {
	_, err := run(ctx, root, "build", "-o", into, folderOf(program))
	return err
}

func folderOf(program string) string { return "./services/" + program }

// patience is how long a go command that was told to end may take.
const patience = 5 * time.Second

// run runs a go command in the repository's root and returns its standard output. An error holds its standard error.
func run(ctx context.Context, root string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = root
	// The stack's share of the processors is not the compiler's.
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "GOMAXPROCS=") })
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt from the terminal comes through ctx
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = patience
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil && said.Len() > 0 {
		err = errors.New(said.String())
	}
	return out, err
}
