// Package send sends one plain event, as any NATS client can: a request that a
// router answers with where the log has stored it. Another stream on the same
// subject answers too: only the log's name is believed.
package send

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/nats-io/nats.go"

	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/topology"
)

// headerKey names an event's key where the subject cannot.
const headerKey = "Key"

// Stored is where an event lies in the log.
type Stored struct {
	Stream    string `json:"stream"`
	Seq       uint64 `json:"seq"`
	Duplicate bool   `json:"duplicate"`
}

func (s Stored) String() string {
	if s.Duplicate {
		return fmt.Sprintf("stored already, in stream %s at sequence %d", s.Stream, s.Seq)
	}
	return fmt.Sprintf("stored in stream %s at sequence %d", s.Stream, s.Seq)
}

// Send sends one event to the app and waits for the router's answer until ctx ends.
// An answer by a stream that is not the app's log is passed over.
func Send(ctx context.Context, nc *nats.Conn, app, key string, data []byte) (Stored, error) {
	msg, err := message(app, key, data)
	if err != nil {
		return Stored{}, err
	}
	msg.Reply = nc.NewInbox()
	answers, err := nc.SubscribeSync(msg.Reply)
	if err != nil {
		return Stored{}, fmt.Errorf("send event: %w", err)
	}
	defer func() { _ = answers.Unsubscribe() }() // fails only if the connection is closed
	if err := nc.PublishMsg(msg); err != nil {
		return Stored{}, fmt.Errorf("send event: %w", err)
	}
	foreign := ""
	for {
		reply, err := answers.NextMsgWithContext(ctx)
		switch {
		case errors.Is(err, nats.ErrNoResponders):
			return Stored{}, fmt.Errorf("no router of app %s is listening: is one running?", app)
		case errors.Is(err, context.DeadlineExceeded) && foreign != "":
			return Stored{}, fmt.Errorf("only stream %s has confirmed the event, which is not the log of app %s: is a router running? Let the stream take other subjects than %s", foreign, app, topology.EventSubject(app)+".>")
		case errors.Is(err, context.DeadlineExceeded):
			return Stored{}, errors.New("no answer in time: the event may be stored or not")
		case err != nil:
			return Stored{}, fmt.Errorf("send event: %w", err)
		}
		stored, err := answer(reply.Data)
		if stored.Stream == "" || topology.IsLog(app, stored.Stream) {
			return stored, err
		}
		foreign = stored.Stream
	}
}

// Check returns an error if nobody could send such an event.
func Check(key string, data []byte) error {
	if err := frame.CheckKey(key); err != nil {
		return err
	}
	if strings.ContainsAny(key, "\r\n") || strings.TrimSpace(key) != key {
		return fmt.Errorf("a NATS header cannot carry the key %q: it has a line break, or space at an end", key)
	}
	return frame.CheckEventSize(len(key) + len(data))
}

// message is the request for one event.
func message(app, key string, data []byte) (*nats.Msg, error) {
	if err := Check(key, data); err != nil {
		return nil, err
	}
	subject := topology.EventSubject(app) + "._"
	if isSubject(key) {
		subject = topology.EventSubject(app) + "." + key
	}
	msg := nats.NewMsg(subject)
	msg.Header.Set(headerKey, key)
	msg.Data = data
	return msg, nil
}

// isSubject tells whether a key can stand in a subject as it is: tokens with no
// space or control character, none empty, none a wildcard.
func isSubject(key string) bool {
	for token := range strings.SplitSeq(key, ".") {
		if token == "" || token == "*" || token == ">" {
			return false
		}
	}
	return !strings.ContainsFunc(key, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) })
}

// answer reads JetStream's confirmation, or a refusal in the same form, which may
// name the stream too.
func answer(body []byte) (Stored, error) {
	var a struct {
		Stored
		Error *struct {
			Code        int    `json:"code"`
			Description string `json:"description"`
		} `json:"error"`
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return Stored{}, fmt.Errorf("the router's answer is not a confirmation: %q", body[:min(len(body), 100)])
	}
	if a.Error != nil {
		return a.Stored, fmt.Errorf("refused (%d): %s", a.Error.Code, a.Error.Description)
	}
	if a.Stream == "" || a.Seq == 0 {
		return Stored{}, fmt.Errorf("the router's answer names no stream or sequence: %q", body[:min(len(body), 100)])
	}
	return a.Stored, nil
}
