// Command worker owns shards and applies their events to the state of their keys. Your code goes into handler.go.
package main

import "example.com/lockstep/pkg/worker"

func main() { worker.Main(worker.Program{Name: "worker", Rules: new(Rules)}) }
