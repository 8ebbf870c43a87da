package query

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/nats-io/nats.go/micro"
)

// MaxPause is the longest pause that one request can ask for.
const MaxPause = time.Minute

// pauseRequest is the body of <app>.ctl.pause. Its answer is a Worker.
type pauseRequest struct {
	ForMS *int64 `json:"for_ms"`       // milliseconds; 0: resume
	By    string `json:"by,omitempty"` // name of the client, for operators: Client gives its connection's name
}

// maxAsker is how many bytes of an asker's name are kept.
const maxAsker = 64

// asker describes the sender of a request to operators: by the name that it gives, or else by its reply subject, which finds
// it in the server's list of connections. NATS itself does not tell a subscriber which client published.
func asker(name, reply string) string {
	printable := strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, name[:min(len(name), maxAsker)])
	if printable != "" {
		return printable
	}
	return "a client without a name, answered on " + cmp.Or(reply, "no subject")
}

// Milliseconds is a time in milliseconds, rounded up, so that only no time at all is 0.
func Milliseconds(d time.Duration) int64 { return int64((d + time.Millisecond - 1) / time.Millisecond) }

// Pause asks every worker to take no new events for d, 0 to MaxPause in steps of a millisecond, from the arrival of the request
// on; 0 resumes at once. A paused worker still commits the events that it has begun, keeps its shards and answers queries. A
// pause ends by itself. For a longer pause, ask again before it ends: the newest request replaces the ones before, whether it
// is longer or shorter. A worker that starts later is not paused by earlier requests.
//
// Pause takes as long as wait, and returns the status that each worker answered with after the request took effect, sorted by
// id. A worker that is missing there may not have received the request. If every shard is there, all owners have received it.
// The error is ErrNoWorker if no worker listens.
func (c *Client) Pause(ctx context.Context, d, wait time.Duration) ([]Worker, error) {
	if d < 0 || d > MaxPause {
		return nil, fmt.Errorf("pause for %s: must be 0 to %s", d, MaxPause)
	}
	ms := Milliseconds(d)
	body, err := json.Marshal(pauseRequest{ForMS: &ms, By: c.nc.Opts.Name})
	if err != nil {
		return nil, fmt.Errorf("pause: %w", err)
	}
	workers, err := c.askAll(ctx, "pause", body, wait)
	if err != nil {
		return nil, fmt.Errorf("pause: %w", err)
	}
	return workers, nil
}

// readPause reads and checks a request to pause.
func readPause(body []byte) (d time.Duration, by string, err error) {
	const how = `send {"for_ms":5000,"by":"your name"}, or {"for_ms":0} to resume`
	var req pauseRequest
	if err := json.Unmarshal(body, &req); err != nil {
		return 0, "", fmt.Errorf("not a request to pause (%w): %s", err, how)
	}
	switch {
	case req.ForMS == nil:
		return 0, "", fmt.Errorf("for_ms is missing: %s", how)
	case *req.ForMS < 0 || *req.ForMS > MaxPause.Milliseconds():
		return 0, "", fmt.Errorf("cannot pause for %d ms: 0 to %d are allowed; for a longer pause, ask again before this one ends",
			*req.ForMS, MaxPause.Milliseconds())
	}
	return time.Duration(*req.ForMS) * time.Millisecond, req.By, nil
}

func (s *Server) answerPause(r micro.Request) {
	d, by, err := readPause(r.Data())
	if err != nil {
		_ = r.Error("400", err.Error(), nil)
		return
	}
	s.pause(d, asker(by, r.Reply()))
	s.answerStatus(r)
}
