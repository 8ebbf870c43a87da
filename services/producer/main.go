// Command producer loads an app and verifies that nothing was lost, doubled
// or reordered, or sends it a single event.
package main

import (
	"os"

	"example.com/lockstep/pkg/load/cli"
	"example.com/lockstep/pkg/service"
)

func main() { os.Exit(service.Main(name, description, newProgram(), os.Args[1:], cli.Variables())) }
