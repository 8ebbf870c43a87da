// This file stands in for services/worker/handler.go in workers that are measured with a handler that is slow, hangs or fails:
//
//	go build -overlay=bench/testdata/trial/overlay.json -o bin/trial/ ./services/worker
//	go build -o bin/trial/ ./services/router ./services/producer ./deployments/local
//	bin/trial/local up --worker-flag=--slow=20ms
package main

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"time"

	"example.com/lockstep/pkg/consume"
)

// Tally is a key's state.
type Tally struct {
	Events int64 `json:"events"`
}

// Rules say how the handler misbehaves. A key is named by the end of its name: a load's keys end in -0, -1 and so on.
type Rules struct {
	Slow    time.Duration `default:"20ms" help:"How long each attempt takes."`
	HangKey string        `help:"End of the name of a key whose event --hang-event takes --hang-for, at its first attempt."`
	Hang    string        `name:"hang-event" default:"100" help:"Number of that event among its key's, as a load puts it before the payload."`
	HangFor time.Duration `default:"1500ms" help:"How long that takes."`
	FailKey string        `help:"End of the name of a key whose events all fail."`
}

var errFails = errors.New("this key's events fail")

// Handler returns the handler that misbehaves so.
func (r Rules) Handler() consume.Handler {
	var hung atomic.Bool
	return consume.Typed(func(ctx context.Context, t *Tally, ev consume.Event) error {
		wait := r.Slow
		if r.HangKey != "" && strings.HasSuffix(ev.Key, r.HangKey) && strings.HasPrefix(string(ev.Data), r.Hang+" ") && !hung.Swap(true) {
			wait = r.HangFor
		}
		if wait > 0 {
			select {
			case <-time.After(wait):
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		if r.FailKey != "" && strings.HasSuffix(ev.Key, r.FailKey) {
			return errFails
		}
		t.Events++
		return nil
	})
}
