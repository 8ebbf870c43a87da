package worker_test

import (
	"context"
	"errors"
	"fmt"

	"example.com/lockstep/pkg/consume"
	"example.com/lockstep/pkg/worker"
)

// Stock is the state of one article.
type Stock struct{ Pieces int }

// Rules are the flags of this service, which stand among the worker's: worker --backorder.
type Rules struct {
	Backorder bool `help:"Whether more pieces may be sold than there are."`
}

// Handler makes Rules a worker.Rules.
func (r *Rules) Handler() consume.Handler { return consume.Typed(r.apply) }

func (r *Rules) apply(_ context.Context, s *Stock, ev consume.Event) error {
	if ev.Type == "sold" {
		if s.Pieces == 0 && !r.Backorder {
			return consume.Park(errors.New("nothing is left"))
		}
		s.Pieces--
		return nil
	}
	s.Pieces++
	return nil
}

// A service's main.go is `func main() { worker.Main(program) }`. Its handler is tested without NATS and without Redis.
func ExampleProgram() {
	program := worker.Program{Name: "stock", Description: "Counts pieces.", App: "stock", Rules: new(Rules)}
	handler := program.Rules.Handler()
	state, err := handler.Decode(nil)
	if err != nil {
		fmt.Println(err)
	}
	for _, typ := range []string{"bought", "sold", "sold"} {
		ev := consume.NewEvent("id", "article-7", nil, nil)
		ev.Type = typ
		fmt.Println(typ, handler.Apply(context.Background(), state, ev))
	}
	fmt.Printf("%+v\n", *state.(*Stock))
	// Output:
	// bought <nil>
	// sold <nil>
	// sold parked by the handler: nothing is left
	// {Pieces:0}
}
