package drive

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/lockstep/pkg/load"
	"example.com/lockstep/pkg/publish"
)

func TestEventsOfAnApplicationAreSentAndVerified(t *testing.T) {
	f := newFake()
	var mu sync.Mutex
	types := make(map[string]uint64)
	f.fate = func(_ int, ev publish.Event) fate {
		mu.Lock()
		defer mu.Unlock()
		if strings.Contains(ev.Key, "-account-") && ev.Headers["Region"] == "eu" && bytes.HasSuffix(ev.Data, []byte(`"}`)) {
			types[ev.Type]++
		}
		return fine
	}
	generate := func(d *load.Draw) load.Event {
		return load.Event{
			Key: "account", Type: fmt.Sprintf("kind-%d", d.Counter%2), Headers: map[string]string{"Region": "eu"},
			Payload: fmt.Appendf(nil, `{"of":%d,"note":"%s"}`, d.Key, strings.Repeat("x", d.Rand.IntN(300))),
		}
	}
	l, err := New(testConfig(), generate, f, nobody)
	require.NoError(t, err)
	r, err := l.Run(t.Context(), t.Context())
	require.NoError(t, err)
	require.Empty(t, r.Violations)
	require.Equal(t, r.Sent, r.Applied)
	mu.Lock()
	defer mu.Unlock()
	require.Len(t, types, 2)
	require.Equal(t, r.Sent, types["kind-0"]+types["kind-1"])
}

// An application's function that fails at a later event ends the load, and the verdict is no pass.
func TestGeneratorThatFailsLater(t *testing.T) {
	cfg := testConfig()
	l, err := New(cfg, func(d *load.Draw) load.Event { return load.Event{Payload: make([]byte, d.Counter/10<<20)} }, newFake(), nobody)
	require.NoError(t, err)
	r, err := l.Run(t.Context(), t.Context())
	require.NoError(t, err)
	require.NotZero(t, r.Applied)
	require.Regexp(t, `^sending ended early: generate returned too large a payload for event 10 of key load-`, r.Violations[0])

	f := newFake()
	f.refuse = errors.New("event too large")
	l, err = New(cfg, asFlagsSay, f, nobody)
	require.NoError(t, err)
	_, err = l.Run(t.Context(), t.Context())
	require.ErrorContains(t, err, "event too large")
}
