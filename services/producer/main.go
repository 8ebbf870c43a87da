// Command producer loads an app and verifies that nothing was lost, doubled
// or reordered, or sends it a single event.
package main

import "example.com/lockstep/pkg/load/cli"

func main() { cli.Main(cli.Program{Name: "producer", Application: application()}) }
