package stack

import (
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/lockstep/pkg/appname"
	"example.com/lockstep/pkg/servicefile"
)

const (
	router   = servicefile.KindRouter
	worker   = servicefile.KindWorker
	producer = servicefile.KindProducer
	api      = servicefile.KindAPI
)

// several is a list of services of three apps, one of which has no name of its own.
func several() []servicefile.Service {
	return []servicefile.Service{
		{Name: "gateway", Kind: router}, {Name: "billing", Kind: worker, App: "billing"}, {Name: "front", Kind: api, App: "billing"},
		{Name: "worker", Kind: worker}, {Name: "orders", Kind: worker, App: "shop"}, {Name: "bills", Kind: producer, App: "billing"},
		{Name: "events", Kind: producer}, {Name: "web", Kind: api},
	}
}

func TestApps(t *testing.T) {
	own := func(name string, first bool) App {
		return App{Name: name, Router: "gateway", Worker: "worker", Producer: "events", APIs: []string{"web"}, first: first}
	}
	billing := App{Name: "billing", Router: "gateway", Worker: "billing", Producer: "bills", APIs: []string{"front"}}
	shop := App{Name: "shop", Router: "gateway", Worker: "orders", Producer: "events"}
	billingFirst := billing
	billingFirst.first = true
	for asked, want := range map[string][]App{
		"":        {own(appname.Default, true), billing, shop},
		"bank":    {own("bank", true), billing, shop},
		"billing": {billingFirst, own(appname.Default, false), shop},
	} {
		got, err := Config{App: asked, Services: several()}.Apps()
		require.NoError(t, err)
		require.Equal(t, want, got, asked)
		got, err = Config{App: asked, Services: several(), OnlyFirst: true}.Apps()
		require.NoError(t, err)
		want[0].APIs = nil
		require.Equal(t, want[:1], got, asked)
	}

	got, err := Config{}.Apps()
	require.NoError(t, err)
	require.Equal(t, []App{{Name: appname.Default, Router: "router", Worker: "worker", Producer: "producer", first: true}}, got)
	got, err = Config{Services: []servicefile.Service{{Name: "orders", Kind: worker, App: "shop"}}}.Apps()
	require.NoError(t, err)
	require.Equal(t, []App{{Name: "shop", Router: "router", Worker: "orders", Producer: "producer", first: true}}, got)
}

func TestAppsThatAreRefused(t *testing.T) {
	for says, c := range map[string]Config{
		"worker and other are worker services of the app " + appname.Default: {
			Services: []servicefile.Service{{Name: "worker", Kind: worker}, {Name: "other", Kind: worker, App: appname.Default}}},
		"has no worker": {Services: []servicefile.Service{{Name: "front", Kind: api}}},
		"front is for the app bank, which has no worker service: those that have are shop": {
			Services: []servicefile.Service{{Name: "orders", Kind: worker, App: "shop"}, {Name: "front", Kind: api, App: "bank"}}},
		"no worker service is of the app bank: those that there are, are of shop": {
			App: "bank", Services: []servicefile.Service{{Name: "orders", Kind: worker, App: "shop"}}},
	} {
		_, err := c.Apps()
		require.ErrorContains(t, err, says)
	}
}

func TestNamesOfProcesses(t *testing.T) {
	require.Equal(t, "worker-2", App{Name: "bank", first: true}.process("worker", 1))
	require.Equal(t, "shop-router-1", App{Name: "shop"}.process("router", 0))
}
