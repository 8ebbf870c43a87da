package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"example.com/lockstep/pkg/appname"
	"example.com/lockstep/pkg/servicefile"
)

// reserved are names that other programs in bin/ have, and folders that the go command passes over or keeps apart.
var reserved = []string{
	"bench", "chaos", "doctor", "fork", "inmodules", "lint", "local", "release", "service", "testall", "tryfork", "update",
	"internal", "testdata", "vendor",
}

// madeKinds are the kinds that a new service may have.
var madeKinds = []string{servicefile.KindWorker, servicefile.KindProducer, servicefile.KindAPI}

// add makes a service. kind "" is a worker; app is "" but for a producer or api.
func (r *repository) add(name, kind, app string, out io.Writer) error {
	s, err := r.newService(name, kind, app)
	if err != nil {
		return err
	}
	err = r.change(func() error {
		if err := r.write(s); err != nil {
			return err
		}
		if err := r.goCommand(".", "", "work", "use", "./"+s.Dir()); err != nil {
			return err
		}
		if err := r.editIgnored(s, true); err != nil {
			return err
		}
		return servicefile.Write(r.path(servicefile.Path), append(r.services, s))
	})
	if err != nil {
		return errors.Join(err, os.RemoveAll(r.path(s.Dir())))
	}
	_, err = fmt.Fprintf(out, "%s: %s; it is in go.work, the local stack's build and CI\n%s\n", s.Dir(), about(s), hint(s))
	return err
}

// newService returns the service that is asked for, or why it cannot be.
func (r *repository) newService(name, kind, app string) (servicefile.Service, error) {
	none := servicefile.Service{}
	if kind == "" {
		kind = servicefile.KindWorker
	}
	s := servicefile.Service{Name: name, Kind: kind, App: app}
	if name == "" {
		return none, errors.New("want NAME=billing, the service's name")
	}
	if !appname.Valid(name) || strings.HasSuffix(name, "-") {
		return none, fmt.Errorf("NAME=%s: want %s, and no - at the end", name, appname.Rule)
	}
	if slices.Contains(reserved, name) {
		return none, fmt.Errorf("NAME=%s: another program or folder of the repository is called so: choose another name", name)
	}
	if other, taken := servicefile.Find(r.services, name); taken {
		return none, fmt.Errorf("NAME=%s: there is a service of this name already, %s", name, about(other))
	}
	if _, err := os.Lstat(r.path(s.Dir())); err == nil {
		return none, fmt.Errorf("NAME=%s: %s is there already, and %s does not list it", name, s.Dir(), servicefile.Path)
	}
	if kind == servicefile.KindRouter {
		return none, errors.New("KIND=router: services/router routes the events of any app, so there is one for all")
	}
	if !slices.Contains(madeKinds, kind) {
		return none, fmt.Errorf("KIND=%s: want one of %s", kind, strings.Join(madeKinds, ", "))
	}
	return r.forApp(s)
}

// forApp returns the service with its app, or why it cannot have that.
func (r *repository) forApp(s servicefile.Service) (servicefile.Service, error) {
	apps := []string{r.names.App} // the default app, which is the stack's first
	for _, other := range r.services {
		if other.Kind == servicefile.KindWorker && other.App != "" {
			apps = append(apps, other.App)
		}
	}
	switch {
	case s.Kind == servicefile.KindWorker && s.App != "":
		return s, fmt.Errorf("FOR=%s: a worker is an app of its own: leave FOR out", s.App)
	case s.Kind == servicefile.KindWorker && slices.Contains(apps, s.Name):
		return s, fmt.Errorf("NAME=%s: another worker applies the events of the app %s: choose another name", s.Name, s.Name)
	case s.Kind == servicefile.KindWorker:
		s.App = s.Name
	case s.App == r.names.App:
		s.App = ""
	case s.App != "" && !slices.Contains(apps, s.App):
		return s, fmt.Errorf("FOR=%s: no worker applies the events of such an app: want one of %s", s.App, strings.Join(apps, ", "))
	}
	return s, nil
}

// about says what a service is.
func about(s servicefile.Service) string {
	article, of := "a", "of the app "+s.App
	if s.Kind == servicefile.KindAPI {
		article = "an"
	}
	if s.App == "" {
		of = "of the stack's first app"
	}
	return article + " " + s.Kind + " " + of
}

// hint says where its code goes.
func hint(s servicefile.Service) string {
	switch s.Kind {
	case servicefile.KindWorker:
		return "your code goes into " + s.Dir() + "/handler.go"
	case servicefile.KindProducer:
		return "what its events look like goes into " + s.Dir() + "/generate.go"
	}
	return "bin/" + s.Name + " --help lists its flags; pkg/api is what it serves"
}
