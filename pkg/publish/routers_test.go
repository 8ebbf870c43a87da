package publish

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

const (
	group   = "app.in.frame"
	routerA = group + ".a"
	routerB = group + ".b"
)

// at is so many milliseconds after the tests' beginning.
func at(ms int) time.Time {
	return time.Unix(1_700_000_000, 0).Add(time.Duration(ms) * time.Millisecond)
}

// around makes routers that go around the group, to B: A has hung since 10 ms, when frame 3 was sent.
func around(t *testing.T) *routers {
	r := newRouters(group)
	require.Equal(t, group, r.send(1, at(0)))
	require.Equal(t, group, r.send(2, at(0)))
	r.heard(1, routerA, at(1))
	r.heard(2, routerB, at(1))
	require.Equal(t, group, r.send(3, at(10)), "as long as all is well")
	require.Equal(t, group, r.send(4, at(11)))
	r.heard(4, routerB, at(12))
	require.Equal(t, routerB, r.send(3, at(510)), "A has not answered since")
	return r
}

func TestFramesGoAroundARouterThatHangs(t *testing.T) {
	r := around(t)
	r.heard(3, routerB, at(511))
	for i := range 10 {
		require.Equal(t, routerB, r.send(uint64(5+i), at(520+i)))
	}
}

func TestRoutersTakeTurns(t *testing.T) {
	r := around(t)
	r.askHeard(1, group+".c", at(600))
	seen := map[string]int{}
	for i := range 10 {
		seen[r.send(uint64(5+i), at(600))]++
	}
	require.Equal(t, map[string]int{routerB: 5, group + ".c": 5}, seen)
}

func TestSilentRouterIsForgotten(t *testing.T) {
	r := around(t)
	require.Equal(t, group, r.send(3, at(1510)), "B has fallen silent too")
	r.heard(3, routerA, at(1511))
	require.Equal(t, routerA, r.send(9, at(1512)), "whoever answers is there")
}

func TestRouterThatIsGoneIsForgotten(t *testing.T) {
	r := around(t)
	r.nobody(3)
	require.Equal(t, group, r.send(3, at(520)))
}

func TestGroupIsTrustedAgain(t *testing.T) {
	r := around(t)
	now := 510
	for i := range answersToTrust + 1 {
		n, ask := r.ask(at(now))
		require.True(t, ask)
		_, ask = r.ask(at(now + 249))
		require.False(t, ask, "not more often")
		require.Equal(t, routerB, r.send(uint64(100+i), at(now)))
		if i > 0 { // without an answer to one, it takes as many as before
			r.askHeard(n, routerB, at(now+1))
			r.askHeard(n, routerB, at(now+1)) // a second answer is none
		}
		now += 250
	}
	require.Equal(t, group, r.send(4, at(now)))
	require.Zero(t, r.nextAsk())
}

func TestIdlePublisherAsksNobody(t *testing.T) {
	r := around(t)
	_, ask := r.ask(at(600))
	require.True(t, ask)
	require.Equal(t, at(850), r.nextAsk(), "while a frame has no answer")
	r.heard(3, routerB, at(601))
	require.Zero(t, r.nextAsk())
}

// Whatever happens: a frame goes to the group or to a router that has answered, and nothing grows without end.
func TestRoutersKeepTheirRules(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, answered, now := newRouters(group), map[string]bool{}, 0
		t.Repeat(map[string]func(*rapid.T){
			"send": func(t *rapid.T) {
				to := r.send(rapid.Uint64Range(1, 9).Draw(t, "frame"), at(now))
				require.True(t, to == group || answered[to], to)
				require.True(t, to == group || r.around)
			},
			"answer": func(t *rapid.T) {
				from := fmt.Sprint(group, ".", rapid.IntRange(1, 40).Draw(t, "router"))
				answered[from] = true
				r.heard(rapid.Uint64Range(1, 9).Draw(t, "frame"), from, at(now))
			},
			"foreign": func(t *rapid.T) { r.heard(rapid.Uint64Range(1, 9).Draw(t, "frame"), "elsewhere", at(now)) },
			"nobody":  func(t *rapid.T) { r.nobody(rapid.Uint64Range(1, 9).Draw(t, "frame")) },
			"drop":    func(t *rapid.T) { r.drop(rapid.Uint64Range(1, 9).Draw(t, "frame")) },
			"ask": func(t *rapid.T) {
				if n, ask := r.ask(at(now)); ask && rapid.Bool().Draw(t, "heard") {
					r.askHeard(n, routerA, at(now))
					answered[routerA] = true
				}
			},
			"later": func(t *rapid.T) { now += rapid.IntRange(0, 600).Draw(t, "ms") },
			"": func(t *rapid.T) {
				require.LessOrEqual(t, len(r.known), maxRouters)
				require.LessOrEqual(t, len(r.awaited), 9)
			},
		})
	})
}
