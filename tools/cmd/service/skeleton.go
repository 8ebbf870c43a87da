package main

import (
	"bytes"
	"embed"
	"fmt"
	"go/format"
	"os"
	"path"
	"path/filepath"
	"strings"
	"text/template"

	"golang.org/x/mod/modfile"

	"example.com/lockstep/pkg/servicefile"
)

//go:embed skeleton
var skeletons embed.FS

// likes are the services whose go.mod and go.sum a new one of a kind begins with: they have all that it needs, so that the go
// command finds no module that the repository does not have.
var likes = map[string]string{
	servicefile.KindWorker:   "services/worker",
	servicefile.KindProducer: "services/producer",
	servicefile.KindAPI:      "services/worker",
}

// skeleton returns the files of a new service, by name, but for go.mod and go.sum.
func (r *repository) skeleton(s servicefile.Service) (map[string][]byte, error) {
	dir := path.Join("skeleton", s.Kind)
	entries, err := skeletons.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	fields := struct {
		servicefile.Service
		Module string
	}{s, r.names.Module}
	files := make(map[string][]byte)
	for _, e := range entries {
		t, err := template.ParseFS(skeletons, path.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		var text bytes.Buffer
		if err := t.Execute(&text, fields); err != nil {
			return nil, err
		}
		name := strings.TrimSuffix(e.Name(), ".tmpl")
		if files[name], err = format.Source(text.Bytes()); err != nil { // the module's path decides the order of imports
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return files, nil
}

// write makes the service's folder, with a module of its own.
func (r *repository) write(s servicefile.Service) error {
	files, err := r.skeleton(s)
	if err != nil {
		return err
	}
	like := likes[s.Kind]
	text, err := os.ReadFile(r.path(like + "/go.mod"))
	if err != nil {
		return err
	}
	mod, err := modfile.Parse("go.mod", text, nil)
	if err != nil {
		return err
	}
	if err := mod.AddModuleStmt(r.names.Module + "/" + s.Dir()); err != nil {
		return err
	}
	if files["go.mod"], err = mod.Format(); err != nil {
		return err
	}
	if files["go.sum"], err = os.ReadFile(r.path(like + "/go.sum")); err != nil {
		return err
	}
	if err := os.Mkdir(r.path(s.Dir()), 0o755); err != nil {
		return err
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(r.path(s.Dir()), name), text, 0o644); err != nil {
			return err
		}
	}
	return r.goCommand(s.Dir(), "off", "mod", "tidy")
}
