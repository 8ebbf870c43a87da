package cli_test

import (
	"fmt"
	"log"

	"example.com/lockstep/pkg/load"
	"example.com/lockstep/pkg/load/cli"
	"example.com/lockstep/pkg/service"
)

// A producer's program embeds the commands, for its own application.
func ExampleNew() {
	app := load.Application{Generate: func(d *load.Draw) load.Event {
		return load.Event{Key: fmt.Sprint(d.Key), Payload: d.Content()}
	}}
	commands := cli.New(app)
	parsed, err := service.Parse("producer", "Loads the app.", &commands, []string{"load", "--app=shop", "--rate=ramp:100:5000", "--duration=1m"}, cli.Variables())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(parsed.Command())
	// Output: load
}
