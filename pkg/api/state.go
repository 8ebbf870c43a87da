package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"example.com/lockstep/pkg/send"
	"example.com/lockstep/pkg/store"
)

// state is the answer to a question for a key.
type state struct {
	Key     string          `json:"key"`
	State   json.RawMessage `json:"state"`           // null if there is none, or if it is no JSON
	Bytes   []byte          `json:"bytes,omitempty"` // a state that is no JSON
	Applied uint64          `json:"applied"`
	Dropped uint64          `json:"dropped"`
	Waiting uint64          `json:"waiting"`
	Parked  bool            `json:"parked"`
}

// getState asks a worker for the stored state of a key.
func (f *Front) getState(r *http.Request, key string) answer {
	if err := send.CheckKey(key); err != nil {
		return refusal(http.StatusBadRequest, err)
	}
	ctx, cancel := context.WithTimeout(r.Context(), f.cfg.Timeout)
	defer cancel()
	states, err := f.states.States(ctx, []string{key})
	if err != nil {
		return failed(err)
	}
	s := states[0]
	if !s.Found && s.SetAside == 0 {
		return refusal(http.StatusNotFound, fmt.Errorf("key %q has no state", key))
	}
	out := state{Key: key, Applied: s.Count, Dropped: s.Dropped, Waiting: s.SetAside, Parked: s.Parked}
	switch {
	case s.Found && s.Codec == store.CodecJSON && json.Valid(s.Data):
		out.State = s.Data
	case s.Found:
		out.Bytes = s.Data
	}
	return answer{status: http.StatusOK, body: out}
}
