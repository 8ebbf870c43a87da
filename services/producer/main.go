// Command producer loads a Lockstep and verifies that nothing was lost, doubled
// or reordered, or sends it a single event.
package main

import (
	"os"

	"example.com/lockstep/services/producer/internal/cli"
)

func main() { os.Exit(cli.Main(os.Args[1:])) }
