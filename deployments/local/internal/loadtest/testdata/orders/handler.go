package main

import (
	"context"

	"example.com/lockstep/pkg/consume"
)

// Order is a key's state.
type Order struct {
	Status  string `json:"status"`
	Refused int    `json:"refused"` // events that came in a status which does not allow them
}

// follows is the status that an order must have for each type of event.
var follows = map[string]string{"created": "", "paid": "created", "shipped": "paid", "closed": "shipped"}

// Rules are the application's own flags: none.
type Rules struct{}

// Handler returns what applies events.
func (Rules) Handler() consume.Handler { return consume.Typed(Apply) }

// Apply takes an order from one status to the next. A closed one is deleted.
func Apply(_ context.Context, o *Order, ev consume.Event) error {
	before, known := follows[ev.Type]
	switch {
	case !known || before != o.Status:
		o.Refused++
	case ev.Type == "closed":
		return consume.Delete
	default:
		o.Status = ev.Type
	}
	return nil
}
