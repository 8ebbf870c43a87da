package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"

	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/send"
)

// Headers of a request that sends an event.
const (
	headerID   = "Idempotency-Key"
	headerType = "Event-Type"
)

// maxHeaderText is the longest value of these headers, in bytes.
const maxHeaderText = 255

// stored is the answer to an event that lies in the log.
type stored struct {
	Stream string `json:"stream"`
	Seq    uint64 `json:"seq"`
	Repeat bool   `json:"repeat"`
}

// postEvent sends one event and waits until a router confirms it.
func (f *Front) postEvent(r *http.Request, key string) answer {
	event, err := readEvent(r, key)
	if err != nil {
		return refusal(badEvent(err), err)
	}
	ctx, cancel := context.WithTimeout(r.Context(), f.cfg.Timeout)
	defer cancel()
	s, err := send.Send(ctx, f.nc, f.cfg.App, event)
	if err != nil {
		return failed(err)
	}
	return answer{status: http.StatusAccepted, body: stored{Stream: s.Stream, Seq: s.Seq, Repeat: s.Duplicate}}
}

var (
	errNotJSON   = errors.New("the body is not JSON")
	errMediaType = errors.New("send the event as Content-Type: application/json")
	errTooSlow   = errors.New("the body did not arrive in time")
)

// badEvent is the status for an error of readEvent.
func badEvent(err error) int {
	tooLarge := (*http.MaxBytesError)(nil)
	switch {
	case errors.Is(err, errMediaType):
		return http.StatusUnsupportedMediaType
	case errors.As(err, &tooLarge), errors.Is(err, frame.ErrEventTooLarge):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, errTooSlow):
		return http.StatusRequestTimeout
	}
	return http.StatusBadRequest
}

// readEvent returns the event that a request sends.
func readEvent(r *http.Request, key string) (send.Event, error) {
	// A page of another site cannot send this type unless the browser asks first, and the front permits nothing.
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return send.Event{}, errMediaType
	}
	if err := send.CheckKey(key); err != nil {
		return send.Event{}, err
	}
	id, err := headerText(r.Header, headerID)
	if err != nil {
		return send.Event{}, err
	}
	kind, err := headerText(r.Header, headerType)
	if err != nil {
		return send.Event{}, err
	}
	data, err := io.ReadAll(r.Body)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return send.Event{}, errTooSlow
	case err != nil:
		return send.Event{}, fmt.Errorf("read the body: %w", err)
	case !json.Valid(data):
		return send.Event{}, errNotJSON
	}
	event := send.Event{Key: key, Type: kind, ID: id, Data: data}
	return event, event.Check()
}

// headerText returns the value of a header that a request has once or not at all. It is one word of printable ASCII.
func headerText(h http.Header, name string) (string, error) {
	values := h.Values(name)
	if len(values) == 0 {
		return "", nil
	}
	bad := strings.ContainsFunc(values[0], func(r rune) bool { return r <= ' ' || r > '~' })
	if len(values) > 1 || values[0] == "" || len(values[0]) > maxHeaderText || bad {
		return "", fmt.Errorf("header %s: want one value of 1 to %d printable ASCII characters, without blanks", name, maxHeaderText)
	}
	return values[0], nil
}
