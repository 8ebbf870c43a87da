package stack

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"example.com/lockstep/pkg/appname"
	"example.com/lockstep/pkg/servicefile"
	"example.com/lockstep/pkg/stackfile"
)

// App is one of the apps that a stack runs, each with routers and workers of its own. All but Name are programs.
type App struct {
	Name     string
	Router   string
	Worker   string
	Producer string   // loads the app; the stack does not run it
	APIs     []string // take its events over HTTP

	first bool
}

// usual are the services of a stack that is given no list.
func usual() []servicefile.Service {
	return []servicefile.Service{
		{Name: "router", Kind: servicefile.KindRouter},
		{Name: "worker", Kind: servicefile.KindWorker},
		{Name: "producer", Kind: servicefile.KindProducer},
	}
}

// Apps returns the apps that have a worker service, the first one first, or with OnlyFirst that one alone and without APIs. The first is the one
// with the name Config.App, or else the one that the list gives no name.
func (c Config) Apps() ([]App, error) {
	if c.Services == nil {
		c.Services = usual()
	}
	var apps []App
	for _, s := range c.Services {
		if s.Kind != servicefile.KindWorker {
			continue
		}
		a := App{Name: c.appOf(s), Worker: s.Name, Router: "router"}
		if i := slices.IndexFunc(apps, func(known App) bool { return known.Name == a.Name }); i >= 0 {
			return nil, fmt.Errorf("%s and %s are worker services of the app %s: an app has one", apps[i].Worker, a.Worker, a.Name)
		}
		apps = append(apps, a)
	}
	if len(apps) == 0 {
		return nil, errors.New("the list of services has no worker: a stack needs one")
	}
	slices.SortStableFunc(apps, func(a, b App) int { return cmp.Compare(c.rank(a), c.rank(b)) })
	if err := c.assign(apps); err != nil {
		return nil, err
	}
	apps[0].first = true
	if c.OnlyFirst {
		apps = apps[:1]
		apps[0].APIs = nil
	}
	return apps, nil
}

// assign gives the apps the services that are no workers.
func (c *Config) assign(apps []App) error {
	var names []string
	for i := range apps {
		names = append(names, apps[i].Name)
		apps[i].Producer = c.Producer(apps[i].Name)
	}
	for _, s := range c.Services {
		of := slices.Index(names, c.appOf(s))
		switch {
		case s.Kind == servicefile.KindRouter:
			for i := range apps {
				apps[i].Router = s.Name
			}
		case s.Kind == servicefile.KindAPI && of < 0:
			return fmt.Errorf("the service %s is for the app %s, which has no worker service: those that have are %s",
				s.Name, c.appOf(s), strings.Join(names, ", "))
		case s.Kind == servicefile.KindAPI:
			apps[of].APIs = append(apps[of].APIs, s.Name)
		}
	}
	if c.App != "" && apps[0].Name != c.App {
		return fmt.Errorf("no worker service is of the app %s: those that there are, are of %s", c.App, strings.Join(names, ", "))
	}
	return nil
}

// Producer returns the program that loads an app: one made for the app, or else one for the app without a name.
func (c Config) Producer(app string) string {
	program := "producer"
	for _, s := range slices.Backward(c.Services) {
		if s.Kind == servicefile.KindProducer && s.App == "" {
			program = s.Name
		}
	}
	for _, s := range c.Services {
		if s.Kind == servicefile.KindProducer && s.App != "" && s.App == app {
			return s.Name
		}
	}
	return program
}

// appOf returns the app of a service. The app that the list gives no name has the name Config.App, unless another has that.
func (c *Config) appOf(s servicefile.Service) string {
	named := func(s servicefile.Service) bool { return s.App == c.App }
	switch {
	case s.App != "":
		return s.App
	case c.App == "" || slices.ContainsFunc(c.Services, named):
		return appname.Default
	}
	return c.App
}

// rank orders apps: the one asked for, the one without a name of its own, the others.
func (c *Config) rank(a App) int {
	switch a.Name {
	case c.App:
		return 0
	case c.appOf(servicefile.Service{}):
		return 1
	}
	return 2
}

// process returns the name of one of the app's routers or workers; i counts from 0. Those of the first app are named by their role alone.
func (a App) process(role string, i int) string {
	if a.first {
		return ServiceName(role, i)
	}
	return a.Name + "-" + ServiceName(role, i)
}

// apiProcess returns the name of an API's process. No router, worker or server has such a name.
func apiProcess(program string) string { return program + "-" + stackfile.RoleAPI }
