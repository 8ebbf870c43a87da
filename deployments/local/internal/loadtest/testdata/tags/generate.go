package main

import (
	"encoding/json"
	"fmt"
	"slices"

	"example.com/lockstep/pkg/load"
)

func application() load.Application { return load.Application{Generate: generate, Check: check} }

var colours = []string{"blue", "green", "red", "yellow"}

func generate(d *load.Draw) load.Event {
	verb := []string{"add", "add", "remove"}[d.Rand.IntN(3)]
	return load.Event{Key: "tags", Payload: fmt.Appendf(d.Buf, "%s %s", verb, colours[d.Rand.IntN(len(colours))])}
}

// check refuses a state that is no set of colours.
func check(_ string, state []byte) error {
	var tags []string
	if err := json.Unmarshal(state, &tags); err != nil {
		return err
	}
	for i, tag := range tags {
		if !slices.Contains(colours, tag) || i > 0 && tags[i-1] >= tag {
			return fmt.Errorf("%q is no set of colours", tags)
		}
	}
	return nil
}
