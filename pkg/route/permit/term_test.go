package permit

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// at is a moment so many milliseconds after the start, on both clocks; off is by how much the wall clock is off.
func at(ms int, off ...time.Duration) Instant {
	i := Instant{Mono: time.Duration(ms) * time.Millisecond}
	i.Wall = noon.Add(i.Mono)
	for _, d := range off {
		i.Wall = i.Wall.Add(d)
	}
	return i
}

func TestTerm(t *testing.T) {
	type renewal struct{ sent, now Instant }
	renewed := func(sent, now Instant) renewal { return renewal{sent, now} }
	for name, c := range map[string]struct {
		renewals []renewal
		now      Instant
		term     uint64
		valid    bool
	}{
		"without a renewal":                     {nil, at(0), 0, false},
		"fresh":                                 {[]renewal{renewed(at(0), at(10))}, at(10), 1, true},
		"just before its end":                   {[]renewal{renewed(at(0), at(10))}, at(1999), 1, true},
		"counted from before sending":           {[]renewal{renewed(at(0), at(1500))}, at(2000), 1, false},
		"delivered too late":                    {[]renewal{renewed(at(0), at(2000))}, at(2000), 1, false},
		"renewed":                               {[]renewal{renewed(at(0), at(10)), renewed(at(1000), at(1010))}, at(2999), 1, true},
		"renewed, and at its end":               {[]renewal{renewed(at(0), at(10)), renewed(at(1000), at(1010))}, at(3000), 1, false},
		"renewals delivered in the wrong order": {[]renewal{renewed(at(1000), at(1010)), renewed(at(0), at(1020))}, at(2999), 1, true},
		"a gap begins a new term":               {[]renewal{renewed(at(0), at(10)), renewed(at(1990), at(2000))}, at(2000), 2, true},
		"two gaps":                              {[]renewal{renewed(at(0), at(10)), renewed(at(2000), at(2010)), renewed(at(9000), at(9010))}, at(9010), 3, true},
		"wall clock jumps ahead: suspended":     {[]renewal{renewed(at(0), at(10))}, at(20, time.Minute), 1, false},
		"renewed after the jump":                {[]renewal{renewed(at(0), at(10)), renewed(at(20, time.Minute), at(30, time.Minute))}, at(30, time.Minute), 2, true},
		"wall clock is set back":                {[]renewal{renewed(at(0), at(10))}, at(1999, -time.Hour), 1, true},
		"set back, it ends by the other clock":  {[]renewal{renewed(at(0), at(10))}, at(2000, -time.Hour), 1, false},
		"set back, renewed, suspended": {
			[]renewal{renewed(at(0), at(10)), renewed(at(500, -time.Hour), at(510, -time.Hour))}, at(520, -30*time.Minute), 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			term := NewTerm(2 * time.Second)
			for _, r := range c.renewals {
				term.Renew(r.sent, r.now)
			}
			n, valid := term.Valid(c.now)
			require.Equal(t, c.valid, valid)
			require.Equal(t, c.term, n)
		})
	}
}

// For any clocks, and renewals however late: a permit is valid only by one renewal that holds on both clocks,
// a renewal that holds makes it valid, and a term that was once seen to have ended is never valid again.
func TestTermRules(t *testing.T) {
	const ttl = 2 * time.Second
	rapid.Check(t, func(t *rapid.T) {
		now := at(0)
		term := NewTerm(ttl)
		var sent, delivered []Instant
		last, ended := uint64(0), uint64(0)
		holds := func(r Instant) bool { return now.Mono < r.Mono+ttl && now.Wall.Before(r.Wall.Add(ttl)) }
		look := func() (uint64, bool) {
			n, valid := term.Valid(now)
			require.GreaterOrEqual(t, n, last)
			last = n
			if !valid {
				ended = n
				return n, false
			}
			require.Greater(t, n, ended, "a term that had ended is valid again")
			ok := false
			for _, r := range delivered {
				ok = ok || holds(r)
			}
			require.True(t, ok, "valid without a renewal that holds")
			return n, true
		}
		step := func(name string) time.Duration {
			return time.Duration(rapid.SampledFrom([]int{0, 1, 100, 500, 1000, 1999, 2000, 5000}).Draw(t, name)) * time.Millisecond
		}
		t.Repeat(map[string]func(*rapid.T){
			"time passes": func(*rapid.T) {
				d := step("for")
				now.Mono, now.Wall = now.Mono+d, now.Wall.Add(d)
			},
			"suspended":   func(*rapid.T) { now.Wall = now.Wall.Add(step("for")) },
			"set back":    func(*rapid.T) { now.Wall = now.Wall.Add(-step("by")) },
			"clock stops": func(*rapid.T) { now.Mono += step("for") },
			"send":        func(*rapid.T) { sent = append(sent, now) },
			"deliver": func(t *rapid.T) {
				if len(sent) == 0 {
					t.Skip("nothing was sent")
				}
				i := rapid.IntRange(0, len(sent)-1).Draw(t, "which")
				r := sent[i]
				sent = append(sent[:i], sent[i+1:]...)
				_, before := look()
				n := last
				term.Renew(r, now)
				delivered = append(delivered, r)
				after, valid := look()
				if holds(r) {
					require.True(t, valid, "a renewal that holds does not count")
				}
				if before && valid {
					require.Equal(t, n, after, "a new term without a gap")
				}
			},
			"": func(*rapid.T) { look() },
		})
	})
}
