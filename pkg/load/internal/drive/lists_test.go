package drive

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/lockstep/pkg/load"
	"example.com/lockstep/pkg/load/internal/measure"
	"example.com/lockstep/pkg/publish"
)

// poisonous is an application with events that fail, and says so of them.
var poisonous = load.Application{Generate: func(d *load.Draw) load.Event {
	if d.Poison {
		return load.Event{Payload: append(d.Buf, "poison"...), Fails: true}
	}
	return load.Event{Payload: d.Content()}
}}

// parking is a system that parks the keys of such events.
func parking() *fake {
	f := newFake()
	f.fails = func(ev publish.Event) bool { return strings.HasSuffix(string(ev.Data), " poison") }
	return f
}

func loadLists(t *testing.T, f *fake, change func(*Config), app load.Application) *measure.Run {
	t.Helper()
	cfg := testConfig()
	cfg.Poison = 0.2 // two of ten keys
	if change != nil {
		change(&cfg)
	}
	l, err := New(cfg, app, f, nobody)
	require.NoError(t, err)
	l.receiptGrace = time.Millisecond
	r, err := l.Run(t.Context(), t.Context())
	require.NoError(t, err)
	return r
}

// The events of parked keys are neither lost nor applied, and the load expects them if they were asked for.
func TestParkedKeys(t *testing.T) {
	r := loadLists(t, parking(), nil, poisonous)
	require.Empty(t, r.Violations)
	require.EqualValues(t, 2, r.SetAsideKeys)
	require.EqualValues(t, 2, r.ParkedKeys)
	require.EqualValues(t, 2, r.Expected)
	require.Equal(t, r.SetAside, r.Parked)
	require.Equal(t, r.Sent, r.Applied+r.Parked)
	require.Zero(t, r.Lost+r.Unfinished)
	require.Len(t, r.Lists, 2)

	f := parking() // and a key that was not asked for
	fails := f.fails
	f.fails = func(ev publish.Event) bool { return fails(ev) || strings.HasSuffix(ev.Key, "-0") }
	r = loadLists(t, f, nil, poisonous)
	require.Empty(t, r.Violations)
	require.EqualValues(t, 3, r.ParkedKeys)
	require.EqualValues(t, 2, r.Expected)
}

// A list that does not hold the events that follow, in order, is found.
func TestListsAreRead(t *testing.T) {
	f := parking()
	f.looked = func(f *fake) {
		for _, list := range f.lists {
			list[1], list[2] = list[2], list[1]
		}
		f.looked = nil
	}
	r := loadLists(t, f, nil, poisonous)
	require.EqualValues(t, 2, r.Reordered)
	require.Contains(t, r.Violations[0], "its list is wrong: its event 2 is not event 3 of those sent")
}

// A load waits until a list is worked off or parked, and then, if it is told to, for an operator.
func TestListsAreWaitedFor(t *testing.T) {
	for name, c := range map[string]struct {
		failing bool
		wait    time.Duration
		after   int // looks at the states, until the events are applied
		applied bool
	}{
		"tried again":              {failing: true, after: 3, applied: true},
		"tried again for too long": {failing: true, after: -1},
		"parked":                   {after: 3},
		"parked, and an operator":  {wait: time.Minute, after: 3, applied: true},
		"parked, and no operator":  {wait: time.Millisecond, after: -1},
	} {
		t.Run(name, func(t *testing.T) {
			f := parking()
			f.failing = c.failing
			f.looked = func(f *fake) {
				if f.asked == c.after {
					for key := range f.lists {
						f.retry(key)
					}
				}
			}
			r := loadLists(t, f, func(c2 *Config) { c2.WaitParked = c.wait }, poisonous)
			require.Empty(t, r.Violations)
			require.Equal(t, c.applied, r.SetAsideKeys == 0)
			require.Equal(t, c.applied, r.Sent == r.Applied)
			require.Equal(t, !c.applied && !c.failing, r.ParkedKeys == 2)
		})
	}
}
