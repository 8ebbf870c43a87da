// Package servicefile is services/services.json: the services of this repository. The build, the local stack and CI read it;
// `task new-service` and `task remove-service` change it.
package servicefile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"example.com/lockstep/pkg/appname"
)

// Path is where the file lies, seen from the repository's root.
const Path = "services/services.json"

// The kinds of services.
const (
	KindRouter   = "router"   // takes events of any app and stores them; the stack runs one for each app
	KindWorker   = "worker"   // applies the events of its app
	KindProducer = "producer" // loads its app; the stack does not run it
	KindAPI      = "api"      // takes events of its app over HTTP
)

// Kinds are all of them.
func Kinds() []string { return []string{KindRouter, KindWorker, KindProducer, KindAPI} }

// Service is one of the services.
type Service struct {
	Name string `json:"name"` // its program's name and its folder in services/
	Kind string `json:"kind"`
	App  string `json:"app"` // that it works for; "" is the stack's first app
}

// Dir is the service's folder, seen from the repository's root.
func (s Service) Dir() string { return "services/" + s.Name }

// check returns an error for a service that cannot be.
func (s Service) check() error {
	switch {
	case !appname.Valid(s.Name):
		return fmt.Errorf("service %q: a name is %s", s.Name, appname.Rule)
	case !slices.Contains(Kinds(), s.Kind):
		return fmt.Errorf("service %s has the kind %q: want one of %v", s.Name, s.Kind, Kinds())
	case s.App != "" && !appname.Valid(s.App):
		return fmt.Errorf("service %s has the app %q: want %s, or nothing for the stack's first app", s.Name, s.App, appname.Rule)
	}
	return nil
}

// Read returns the services that a file lists, in its order. A service that cannot be, or that is listed twice, is an error.
func Read(file string) ([]Service, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the list of services: %w", err)
	}
	services, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return services, nil
}

func parse(text []byte) ([]Service, error) {
	var services []Service
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&services); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the list")
	}
	for i, s := range services {
		if err := s.check(); err != nil {
			return nil, err
		}
		if _, twice := Find(services[:i], s.Name); twice {
			return nil, fmt.Errorf("service %s is listed twice", s.Name)
		}
	}
	return services, nil
}

// Write replaces a file by a list of services, one on each line. It refuses what Read would refuse.
func Write(file string, services []Service) error {
	text := []byte("[")
	for i, s := range services {
		line, err := json.Marshal(s)
		if err != nil {
			return err
		}
		if i > 0 {
			text = append(text, ',')
		}
		text = append(append(text, "\n  "...), line...)
	}
	text = append(text, "\n]\n"...)
	if _, err := parse(text); err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o644)
}

// Find returns the service of a name.
func Find(services []Service, name string) (s Service, found bool) {
	i := slices.IndexFunc(services, func(s Service) bool { return s.Name == name })
	if i < 0 {
		return Service{}, false
	}
	return services[i], true
}

// Apps returns the apps that services work for, each once, in the order of the list. "" is the stack's first app.
func Apps(services []Service) (apps []string) {
	for _, s := range services {
		if !slices.Contains(apps, s.App) {
			apps = append(apps, s.App)
		}
	}
	return apps
}
