package consume

import (
	"testing"

	"example.com/lockstep/pkg/topology"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestCapsAreOnlyRaised(t *testing.T) {
	cfg := Config{CapKeys: 9, CapEvents: 10}
	require.Equal(t, caps{9, 10}, cfg.capsOf(topology.Caps{}))
	require.Equal(t, caps{9, 20}, cfg.capsOf(topology.Caps{Keys: 3, Events: 20}))
}

func TestRoomBelowCaps(t *testing.T) {
	c := caps{keys: 3, events: 10}
	for name, of := range map[string]struct {
		extent
		begins, joins bool
		full          string
	}{
		"nothing set aside":              {extent{}, true, true, ""},
		"one key is left":                {extent{keys: 2, events: 2}, true, true, ""},
		"one key is left, and under way": {extent{keys: 2, events: 2, underWay: 1}, false, true, "2 keys have events set aside, which is its cap"},
		"no key is left":                 {extent{keys: 3, events: 9}, false, true, "3 keys have events set aside, which is its cap"},
		"one event is left":              {extent{keys: 1, events: 9}, true, true, ""},
		"one event is left, and under way": {extent{keys: 1, events: 9, underWay: 1}, false, false,
			"9 events are set aside, which is its cap"},
		"no event is left":          {extent{keys: 1, events: 10}, false, false, "10 events are set aside, which is its cap"},
		"more than with lower caps": {extent{keys: 7, events: 70}, false, false, "70 events are set aside, which is its cap"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, of.begins, c.begins(of.extent))
			require.Equal(t, of.joins, c.joins(of.extent))
			require.Equal(t, of.full, c.full(of.extent))
		})
	}
}

// No cap is exceeded, for any number of attempts that fail and of events that join.
func TestCapsAreNeverExceeded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := caps{rapid.Uint64Range(0, 5).Draw(t, "keys cap"), rapid.Uint64Range(0, 9).Draw(t, "events cap")}
		var of extent
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0:
				if c.begins(of) {
					of.underWay++
				}
			case 1:
				if of.underWay > 0 {
					of.underWay--
				}
			case 2:
				if of.underWay > 0 {
					of.underWay, of.keys, of.events = of.underWay-1, of.keys+1, of.events+1
				}
			case 3:
				if of.keys > 0 && c.joins(of) {
					of.events++
				}
			}
			require.LessOrEqual(t, of.keys, c.keys)
			require.LessOrEqual(t, of.events, c.events)
			require.Equal(t, c.begins(of), c.full(of) == "")
		}
	})
}
