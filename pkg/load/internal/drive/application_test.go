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
	"example.com/lockstep/pkg/load/internal/measure"
	"example.com/lockstep/pkg/load/internal/report"
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
	l, err := New(testConfig(), load.Application{Generate: generate}, f, nobody)
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
	growing := func(d *load.Draw) load.Event { return load.Event{Payload: make([]byte, d.Counter/10<<20)} }
	l, err := New(cfg, load.Application{Generate: growing}, newFake(), nobody)
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

// orders is an application whose every fourth event of a key deletes its state.
var orders = load.Application{Generate: func(d *load.Draw) load.Event {
	status := []string{"created", "paid", "shipped", "closed"}[(d.Counter-1)%4]
	return load.Event{Type: status, Deletes: status == "closed"}
}}

func closed(ev publish.Event) bool { return ev.Type == "closed" }

func runApplication(t *testing.T, app load.Application, cfg Config, f *fake) *measure.Run {
	t.Helper()
	l, err := New(cfg, app, f, nobody)
	require.NoError(t, err)
	r, err := l.Run(t.Context(), t.Context())
	require.NoError(t, err)
	return r
}

func TestStatesAreDeletedAndVerified(t *testing.T) {
	f := newFake()
	f.deletes = closed
	r := runApplication(t, orders, testConfig(), f)
	require.Empty(t, r.Violations)
	require.Equal(t, r.Sent, r.Applied)

	kept := newFake() // its handler deletes nothing
	r = runApplication(t, orders, testConfig(), kept)
	require.NotEmpty(t, r.Violations)
	require.NotZero(t, r.Lost)
	require.Contains(t, r.Violations[0], "acknowledged events that delete its state deleted nothing (does the handler return consume.Delete for them?)")

	silent := newFake() // its generator does not say that the handler deletes
	silent.deletes = func(ev publish.Event) bool { return ev.Key == "load-t-3" }
	r = runApplication(t, asFlagsSay, testConfig(), silent)
	require.EqualValues(t, 1, r.Unproven)
	require.Len(t, r.Violations, 1)
	require.Regexp(t, "^unproven: key load-t-3: it has no state, though [0-9]+ events were acknowledged: ", r.Violations[0])
	require.Equal(t, report.Fail, report.New(report.Config{}, r).Verdict)
}

// Where every key ends without a state nothing was compared.
func TestNoStateLeftIsNoPass(t *testing.T) {
	f := newFake()
	f.deletes = func(publish.Event) bool { return true }
	all := load.Application{Generate: func(*load.Draw) load.Event { return load.Event{Deletes: true} }}
	r := runApplication(t, all, testConfig(), f)
	require.Empty(t, r.Violations)
	told := report.New(report.Config{}, r)
	require.Equal(t, report.Fail, told.Verdict)
	require.Equal(t, []string{"every key was deleted with its last event, so no state is left to compare: end the load with other events"}, told.Violations)

	r.Merge(runApplication(t, asFlagsSay, testConfig(), newFake())) // another producer, with keys that keep theirs
	require.Equal(t, report.Pass, report.New(report.Config{}, r).Verdict)
}

// The application's own check sees each state that is complete, and its errors fail the load.
func TestApplicationChecksStates(t *testing.T) {
	f := newFake()
	f.deletes = closed
	app := orders
	seen := map[string]string{}
	app.Check = func(key string, state []byte) error {
		seen[key] = string(state)
		if len(seen) == 1 {
			return errors.New("no order")
		}
		return nil
	}
	cfg := testConfig()
	cfg.Keys = 40
	r := runApplication(t, app, cfg, f)
	require.EqualValues(t, len(f.states), len(seen), "keys with a state")
	for key, s := range f.states {
		require.Equal(t, fmt.Sprint(s.Count), seen[key])
	}
	require.EqualValues(t, 1, r.Refused)
	require.Len(t, r.Violations, 1)
	require.Regexp(t, "^refused by Check: key load-t-[0-9]+: no order$", r.Violations[0])
	require.Equal(t, report.Fail, report.New(report.Config{}, r).Verdict)

	clear(seen)
	stuck := newFake()
	stuck.stuck, stuck.at = 1, []int{0, 1, 2, 3}
	r = runApplication(t, app, cfg, stuck)
	require.Empty(t, seen, "no shard has reached the log's end")
	require.Zero(t, r.Refused)
}
