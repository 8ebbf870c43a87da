package main

import (
	"encoding/json"
	"fmt"

	"example.com/lockstep/pkg/load"
)

func application() load.Application { return load.Application{Generate: generate, Check: check} }

var statuses = []string{"created", "paid", "shipped", "closed"}

func generate(d *load.Draw) load.Event {
	status := statuses[(d.Counter-1)%4]
	return load.Event{Key: "order", Type: status, Deletes: status == "closed"}
}

// check refuses a state that no order can have.
func check(_ string, state []byte) error {
	var o struct{ Refused int }
	if err := json.Unmarshal(state, &o); err != nil {
		return err
	}
	if o.Refused > 0 {
		return fmt.Errorf("%d events came in a status that does not allow them", o.Refused)
	}
	return nil
}
