package servicefile_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"

	"example.com/lockstep/pkg/servicefile"
)

// A tool that must know the services reads them from the file.
func Example() {
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "services.json")
	err = servicefile.Write(file, []servicefile.Service{
		{Name: "router", Kind: servicefile.KindRouter}, {Name: "worker", Kind: servicefile.KindWorker},
		{Name: "billing", Kind: servicefile.KindWorker, App: "billing"},
	})
	if err != nil {
		log.Fatal(err)
	}
	services, err := servicefile.Read(file)
	if err != nil {
		log.Fatal(err)
	}
	for _, s := range services {
		fmt.Printf("%s: a %s of app %q\n", s.Dir(), s.Kind, s.App)
	}
	// Output:
	// services/router: a router of app ""
	// services/worker: a worker of app ""
	// services/billing: a worker of app "billing"
}
