package service_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"example.com/lockstep/pkg/service"
	"example.com/lockstep/pkg/testkit/example"
)

// command is a service with a flag of its own.
type command struct {
	service.Config `embed:""`

	Limit service.Bytes `default:"1MiB" help:"How much it keeps."`
}

// One struct is the whole configuration of a service: its flags, its environment and its help.
func ExampleParse() {
	var c command
	_, err := service.Parse("counter", "Counts.", &c, []string{"--app=shop", "--limit=64MiB"})
	example.Check(err)
	fmt.Println(c.App, c.NATS, int64(c.Limit), c.StopTimeout)
	// Output: shop nats://127.0.0.1:4222 67108864 10s
}

// Run starts parts in order, and stops them in reverse order at a signal or when its context ends. The admin endpoint tells whether
// the service is ready.
func ExampleRun() {
	cfg := service.Config{App: "shop", Admin: "127.0.0.1:0", StopTimeout: 10 * time.Second}
	admin, err := service.NewAdmin(cfg, example.Discard)
	example.Check(err)
	admin.Ready("stock", func(context.Context) error { return nil })

	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- service.Run(ctx, cfg, example.Discard, admin, ask{admin, stop}) }()
	fmt.Println("run:", <-done)
	// Output:
	// /healthz: 200 OK
	// run: <nil>
}

// ask is a part that asks the admin endpoint for its health as it starts, and then ends the service.
type ask struct {
	admin *service.Admin
	stop  func()
}

func (a ask) Start(context.Context) error {
	defer a.stop()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get("http://" + a.admin.Addr() + "/healthz")
	if err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	fmt.Println("/healthz:", resp.Status)
	return resp.Body.Close()
}

func (a ask) Stop(context.Context) error { return nil }
