package api

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"

	"example.com/lockstep/pkg/send"
)

// retryAfter is how many seconds a client shall wait after a 503.
const retryAfter = "1"

// answer is what a client gets: JSON.
type answer struct {
	status int
	header http.Header // besides those of every answer
	body   any
}

// problem is the body of each answer that is an error.
type problem struct {
	Error string `json:"error"`
}

func refusal(status int, err error) answer { return answer{status: status, body: problem{err.Error()}} }

// later is the answer to a request that may succeed when it is sent again.
func later(err error) answer {
	a := refusal(http.StatusServiceUnavailable, err)
	a.header = http.Header{"Retry-After": {retryAfter}}
	return a
}

// failed is the answer for an error of NATS, of a router or of a worker.
func failed(err error) answer {
	refused := (*send.Refusal)(nil)
	switch {
	case errors.As(err, &refused) && refused.Code == http.StatusBadRequest:
		return refusal(http.StatusBadRequest, err)
	case errors.Is(err, send.ErrNoAnswer), errors.Is(err, context.DeadlineExceeded):
		return refusal(http.StatusGatewayTimeout, err)
	}
	return later(err)
}

// write sends the answer. An error means that the client has gone.
func (a answer) write(w http.ResponseWriter) {
	raw, isRaw := a.body.(json.RawMessage)
	if !isRaw {
		var err error
		if raw, err = json.Marshal(a.body); err != nil {
			panic(err) // strings, numbers and JSON that was checked
		}
		raw = append(raw, '\n')
	}
	maps.Copy(w.Header(), a.header)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(a.status)
	_, _ = w.Write(raw)
}
