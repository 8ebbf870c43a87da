package consume

import (
	"errors"
	"strings"
	"testing"
	"time"

	"example.com/lockstep/pkg/aside"
	"example.com/lockstep/pkg/store"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var (
	testRules  = retryRules{attempts: 3, min: 100 * time.Millisecond, max: time.Second}
	retryEpoch = time.Unix(1_700_000_000, 0)
)

func TestBackoff(t *testing.T) {
	for i, want := range []time.Duration{100, 200, 400, 800, 1000, 1000} {
		attempts := uint64(i + 1)
		require.Equal(t, want*time.Millisecond, testRules.backoff(attempts, 0))
		require.Equal(t, want*3/4*time.Millisecond, testRules.backoff(attempts, 0.5))
	}
	require.Equal(t, time.Second, testRules.backoff(1<<60, 0))
	require.Equal(t, time.Second, retryRules{min: time.Minute, max: time.Second}.backoff(1, 0))
	rapid.Check(t, func(t *rapid.T) {
		r := retryRules{min: time.Duration(rapid.Int64Range(1, 1<<40).Draw(t, "min")), max: time.Duration(rapid.Int64Range(1, 1<<62).Draw(t, "max"))}
		wait := r.backoff(rapid.Uint64Min(1).Draw(t, "attempts"), rapid.Float64Range(0, 0.999).Draw(t, "draw"))
		require.GreaterOrEqual(t, wait, min(r.min, r.max)/2)
		require.LessOrEqual(t, wait, r.max)
	})
}

func TestDue(t *testing.T) {
	now := retryEpoch
	for name, c := range map[string]struct {
		head aside.Head
		at   time.Time
		ok   bool
	}{
		"first event not tried yet":     {aside.Head{}, time.Time{}, true},
		"set aside as running":          {aside.Head{Status: aside.Running, Began: now}, time.Time{}, true},
		"tried twice":                   {aside.Head{Attempts: 2, Last: now}, now.Add(200 * time.Millisecond), true},
		"parked":                        {aside.Head{Status: aside.Parked, Attempts: 3, Last: now}, time.Time{}, false},
		"to be dropped":                 {aside.Head{Status: aside.Parked, Attempts: 3, Mark: aside.Mark{Op: aside.Drop, Until: 1}}, time.Time{}, true},
		"to be retried by an operator":  {aside.Head{Mark: aside.Mark{Op: aside.Retry, Until: 1}}, time.Time{}, true},
		"parked, and a command waits":   {aside.Head{Status: aside.Parked, Commands: make([]aside.Command, 1)}, time.Time{}, false},
		"retrying, and a command waits": {aside.Head{Attempts: 1, Last: now, Commands: make([]aside.Command, 1)}, now.Add(100 * time.Millisecond), true},
	} {
		t.Run(name, func(t *testing.T) {
			at, ok := testRules.due(&c.head, 0)
			require.Equal(t, c.ok, ok)
			require.Equal(t, c.at, at)
		})
	}
}

func TestHeadAfterAnAttempt(t *testing.T) {
	began, now := retryEpoch, retryEpoch.Add(time.Minute)
	refused := errors.New("refused")
	retry := func(until uint64) aside.Mark { return aside.Mark{Op: aside.Retry, Until: until} }
	waits := []aside.Command{{Op: aside.Drop, First: "x"}}
	for name, c := range map[string]struct {
		before aside.Head
		did    progress
		after  aside.Head
		left   bool
	}{
		"the first failure, when an event is set aside": {
			aside.Head{First: 4, Next: 5, Bytes: 10}, progress{err: refused, ended: now},
			aside.Head{First: 4, Next: 5, Bytes: 10, Attempts: 1, Error: "refused", Began: now, Last: now}, true,
		},
		"it is parked at once": {
			aside.Head{First: 4, Next: 5}, progress{err: refused, park: true, ended: now},
			aside.Head{First: 4, Next: 5, Status: aside.Parked, Attempts: 1, Error: "refused", Began: now, Last: now}, true,
		},
		"it was set aside as running, and fails": {
			aside.Head{Next: 2, Status: aside.Running, Began: began}, progress{err: refused, ended: now},
			aside.Head{Next: 2, Attempts: 1, Error: "refused", Began: began, Last: now}, true,
		},
		"it was set aside as running, and succeeds": {
			aside.Head{Next: 2, Bytes: 30, Status: aside.Running, Began: began}, progress{done: 1, bytes: 10, ended: now},
			aside.Head{First: 1, Next: 2, Bytes: 20}, true,
		},
		"fails again": {
			aside.Head{Next: 9, Attempts: 1, Error: "other", Began: began, Last: began, Commands: waits}, progress{err: refused, ended: now},
			aside.Head{Next: 9, Attempts: 2, Error: "refused", Began: began, Last: now, Commands: waits}, true,
		},
		"its attempts are used up": {
			aside.Head{Next: 9, Attempts: 2, Began: began, Last: began, Commands: waits}, progress{err: refused, ended: now},
			aside.Head{Next: 9, Status: aside.Parked, Attempts: 3, Error: "refused", Began: began, Last: now, Commands: waits}, true,
		},
		"succeeds, and a later one fails": {
			aside.Head{Next: 9, Bytes: 90, Attempts: 2, Error: "other", Began: began, Last: began}, progress{done: 3, bytes: 30, err: refused, ended: now},
			aside.Head{First: 3, Next: 9, Bytes: 60, Attempts: 1, Error: "refused", Began: now, Last: now}, true,
		},
		"succeeds, and more is left": {
			aside.Head{Next: 9, Bytes: 90, Attempts: 2, Error: "other", Began: began, Last: began}, progress{done: 8, bytes: 80, ended: now},
			aside.Head{First: 8, Next: 9, Bytes: 10}, true,
		},
		"all succeeds": {
			aside.Head{Next: 9, Bytes: 90, Attempts: 2, Error: "other"}, progress{done: 9, bytes: 90, ended: now},
			aside.Head{First: 9, Next: 9}, false,
		},
		"nothing was done in time": {
			aside.Head{Next: 9, Attempts: 1, Error: "other"}, progress{ended: now},
			aside.Head{Next: 9, Attempts: 1, Error: "other"}, true,
		},
		"an operator's retry stops at the first failure": {
			aside.Head{Next: 9, Mark: retry(5)}, progress{done: 4, err: refused, ended: now},
			aside.Head{First: 4, Next: 9, Status: aside.Parked, Attempts: 1, Error: "refused", Began: now, Last: now}, true,
		},
		"behind the events of an operator's retry attempts are ordinary ones": {
			aside.Head{Next: 9, Mark: retry(5)}, progress{done: 5, err: refused, ended: now},
			aside.Head{First: 5, Next: 9, Attempts: 1, Error: "refused", Began: now, Last: now}, true,
		},
		"an operator's retry goes on": {
			aside.Head{Next: 9, Mark: retry(5)}, progress{done: 4, ended: now},
			aside.Head{First: 4, Next: 9, Mark: retry(5)}, true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			after, left := testRules.after(c.before, c.did)
			require.Equal(t, c.left, left)
			require.Equal(t, c.after, after)
		})
	}
	long, _ := testRules.after(aside.Head{Next: 1}, progress{err: errors.New(strings.Repeat("x", 5000))})
	require.Len(t, long.Error, aside.MaxErrorBytes)
}

func TestDropPiecesOfAList(t *testing.T) {
	h := aside.Head{First: 3, Next: 20, Bytes: 170, Status: aside.Parked, Attempts: 3, Error: "e", Mark: aside.Mark{Op: aside.Drop, Until: 10}}
	h = without(h, 4, 40)
	require.Equal(t, aside.Head{First: 7, Next: 20, Bytes: 130, Mark: aside.Mark{Op: aside.Drop, Until: 10}}, h)
	h = without(h, 3, 30)
	require.Equal(t, aside.Head{First: 10, Next: 20, Bytes: 100}, h, "the rest begins anew")
	at, ok := testRules.due(&h, 0)
	require.True(t, ok)
	require.Zero(t, at)
}

// A result counts only if the list and its key are as the attempt found them.
func TestResultIsTakenOnce(t *testing.T) {
	proof := store.Proof{Count: 7, Chain: 99}
	refused := progress{done: 2, err: errors.New("refused"), park: true}
	for name, c := range map[string]struct {
		change func(h *aside.Head, proof *store.Proof) *aside.Head
		did    progress
		want   progress
		taken  bool
	}{
		"nothing has changed": {func(h *aside.Head, _ *store.Proof) *aside.Head { return h }, refused, refused, true},
		"events have joined":  {func(h *aside.Head, _ *store.Proof) *aside.Head { h.Next += 5; return h }, refused, refused, true},
		"another list": {func(h *aside.Head, _ *store.Proof) *aside.Head {
			other := *h
			return &other
		}, refused, progress{}, false},
		"the list begins later":     {func(h *aside.Head, _ *store.Proof) *aside.Head { h.First++; return h }, refused, progress{}, false},
		"the key has more events":   {func(h *aside.Head, p *store.Proof) *aside.Head { p.Count++; return h }, refused, progress{}, false},
		"the key has another chain": {func(h *aside.Head, p *store.Proof) *aside.Head { p.Chain++; return h }, refused, progress{}, false},
		"events are to be dropped": {func(h *aside.Head, _ *store.Proof) *aside.Head {
			h.Mark = aside.Mark{Op: aside.Drop, Until: 4}
			return h
		}, refused, progress{}, false},
		"a retry was asked for, some succeeded": {func(h *aside.Head, _ *store.Proof) *aside.Head {
			h.Mark = aside.Mark{Op: aside.Retry, Until: 4}
			return h
		}, refused, progress{done: 2}, true},
		"a retry was asked for, none succeeded": {func(h *aside.Head, _ *store.Proof) *aside.Head {
			h.Mark = aside.Mark{Op: aside.Retry, Until: 4}
			return h
		}, progress{err: refused.err}, progress{}, false},
		"a retry was asked for, all succeeded": {func(h *aside.Head, _ *store.Proof) *aside.Head {
			h.Mark = aside.Mark{Op: aside.Retry, Until: 4}
			return h
		}, progress{done: 2}, progress{done: 2}, true},
	} {
		t.Run(name, func(t *testing.T) {
			h, proof := &aside.Head{Next: 9}, proof
			s := stampOf(h, proof)
			got, taken := s.take(c.change(h, &proof), proof, c.did)
			require.Equal(t, c.taken, taken)
			require.Equal(t, c.want, got)
		})
	}
}

// However attempts and commands fare, a list only gets shorter, no event is passed twice or without a reason, and a list
// that is left always either goes on by itself or is parked.
func TestListIsWorkedOffInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Uint64Range(1, 12).Draw(t, "events")
		h, left := aside.Head{First: 5, Next: 5 + n, Bytes: 10 * n}, true
		now := retryEpoch
		for range 100 {
			if !left {
				break
			}
			require.Equal(t, 10*h.Len(), h.Bytes)
			at, ok := testRules.due(&h, rapid.Float64Range(0, 0.99).Draw(t, "draw"))
			require.Equal(t, h.Status == aside.Parked && h.Mark.Op != aside.Drop, !ok)
			require.False(t, at.After(now.Add(testRules.max)))
			before := h
			switch {
			case !ok:
				c := aside.Command{Op: rapid.SampledFrom([]aside.Op{aside.Retry, aside.Drop}).Draw(t, "op"), Count: rapid.Uint64Range(1, h.Len()).Draw(t, "count")}
				h = marked(h, c)
				_, ok = testRules.due(&h, 0)
				require.True(t, ok)
			case h.Mark.Op == aside.Drop:
				d := rapid.Uint64Range(1, h.Mark.Until-h.First).Draw(t, "drop")
				h = without(h, d, 10*d)
				left = h.Len() > 0
			default:
				now = now.Add(time.Second)
				p := progress{done: rapid.Uint64Range(0, h.Len()).Draw(t, "done"), ended: now}
				p.bytes = 10 * p.done
				if p.done < h.Len() && rapid.Bool().Draw(t, "fails") {
					p.err, p.park = errors.New("refused"), rapid.IntRange(0, 5).Draw(t, "park") == 0
				}
				h, left = testRules.after(h, p)
				require.Equal(t, before.First+p.done, h.First)
				require.Equal(t, p.err != nil, h.Error != "" && h.Attempts > 0 && h.Last.Equal(now), "an error is of the first event")
				require.LessOrEqual(t, h.Attempts, testRules.attempts)
				require.Equal(t, h.Len() > 0, left)
				if h.Status == aside.Parked {
					require.True(t, p.park || h.Attempts == testRules.attempts || before.Mark.Op == aside.Retry && h.First < before.Mark.Until)
				}
			}
			require.True(t, h.Mark == aside.Mark{} || h.First < h.Mark.Until)
			if left {
				back, err := aside.DecodeHead(h.Append(nil))
				require.NoError(t, err)
				require.Equal(t, h, back)
			}
		}
	})
}
