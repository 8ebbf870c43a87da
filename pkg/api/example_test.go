package api_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"example.com/lockstep/pkg/api"
	"example.com/lockstep/pkg/consume"
	"example.com/lockstep/pkg/testkit/example"
)

// A web client sends an event by HTTP. With the header Idempotency-Key it may send it again.
func ExampleFront() {
	servers := example.Start()
	defer servers.Stop()
	servers.Run("shop", consume.Typed(func(context.Context, *struct{}, consume.Event) error { return nil }))
	front, err := api.New(servers.NATS, api.Config{
		App: "shop", Listen: "127.0.0.1:0", MaxBody: 1 << 16, MaxRequests: 16, Timeout: 10 * time.Second,
		Log: example.Discard, Metrics: prometheus.NewRegistry(),
	})
	example.Check(err)
	ctx := context.Background()
	example.Check(front.Start(ctx))
	defer front.Stop(ctx)

	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for range 2 {
		req, err := http.NewRequest(http.MethodPost, "http://"+front.Addr()+"/v1/events/alice", strings.NewReader(`{"amount":5}`))
		example.Check(err)
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Idempotency-Key", "order-17")
		resp, err := client.Do(req)
		example.Check(err)
		body, err := io.ReadAll(resp.Body)
		example.Check(err)
		example.Check(resp.Body.Close())
		fmt.Println(resp.Status, strings.TrimSpace(string(body)))
	}
	// Output:
	// 202 Accepted {"stream":"SHOP_1_0","seq":1,"repeat":false}
	// 202 Accepted {"stream":"SHOP_1_0","seq":1,"repeat":true}
}
