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

// Errors of Send. Besides, it returns a *Refusal.
var (
	// ErrNoRouter means that no router of the app is listening: the event is not stored.
	ErrNoRouter = errors.New("is one running?")
	// ErrNoAnswer means that no router has answered in time: the event may be stored or not.
	ErrNoAnswer = errors.New("no answer in time: the event may be stored or not")
)

// Refusal is a router's answer that it does not confirm an event. With the code 400 the event cannot be stored as it is. With any
// other it may be sent again; unless it has an id, it may then be stored twice.
type Refusal struct {
	Code        int    `json:"code"`
	Description string `json:"description"`
}

func (r *Refusal) Error() string { return fmt.Sprintf("refused (%d): %s", r.Code, r.Description) }

// Event is a plain event.
type Event struct {
	Key  string
	Type string // optional
	// ID is optional. Of events with the same id and key that are sent within two minutes the log keeps the first.
	ID   string
	Data []byte
}

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
func Send(ctx context.Context, nc *nats.Conn, app string, e Event) (Stored, error) {
	msg, err := message(app, e)
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
			return Stored{}, fmt.Errorf("no router of app %s is listening: %w", app, ErrNoRouter)
		case errors.Is(err, context.DeadlineExceeded) && foreign != "":
			return Stored{}, fmt.Errorf("only stream %s has confirmed the event, which is not the log of app %s: is a router running? "+
				"Let the stream take other subjects than %s: %w", foreign, app, topology.EventSubject(app)+".>", ErrNoAnswer)
		case errors.Is(err, context.DeadlineExceeded):
			return Stored{}, ErrNoAnswer
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
func (e Event) Check() error {
	if err := CheckKey(e.Key); err != nil {
		return err
	}
	return frame.CheckEventSize(len(e.Key) + len(e.Type) + len(e.ID) + len(e.Data))
}

// CheckKey returns an error if no plain event can have the key.
func CheckKey(key string) error {
	if err := frame.CheckKey(key); err != nil {
		return err
	}
	if strings.ContainsAny(key, "\r\n") || strings.TrimSpace(key) != key {
		return fmt.Errorf("a NATS header cannot carry the key %q: it has a line break, or space at an end", key)
	}
	return nil
}

// message is the request for one event.
func message(app string, e Event) (*nats.Msg, error) {
	if err := e.Check(); err != nil {
		return nil, err
	}
	subject := topology.EventSubject(app) + "._"
	if isSubject(e.Key) {
		subject = topology.EventSubject(app) + "." + e.Key
	}
	msg := nats.NewMsg(subject)
	msg.Header.Set(frame.HeaderKey, e.Key)
	if e.Type != "" {
		msg.Header.Set(frame.HeaderType, e.Type)
	}
	if e.ID != "" {
		// An id of the client's own must not meet the same one of another key.
		msg.Header.Set(nats.MsgIdHdr, e.ID+" "+e.Key)
	}
	msg.Data = e.Data
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
		Error *Refusal `json:"error"`
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return Stored{}, fmt.Errorf("the router's answer is not a confirmation: %q", body[:min(len(body), 100)])
	}
	if a.Error != nil {
		return a.Stored, a.Error
	}
	if a.Stream == "" || a.Seq == 0 {
		return Stored{}, fmt.Errorf("the router's answer names no stream or sequence: %q", body[:min(len(body), 100)])
	}
	return a.Stored, nil
}
