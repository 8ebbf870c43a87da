package drive

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"example.com/lockstep/pkg/load/internal/expect"
	"example.com/lockstep/pkg/load/internal/measure"
	"example.com/lockstep/pkg/load/internal/pace"
	"example.com/lockstep/pkg/load/internal/progress"
	"example.com/lockstep/pkg/load/internal/report"
	"example.com/lockstep/pkg/publish"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var nobody = progress.Lines(io.Discard)

func runLoad(t *testing.T, cfg Config, f *fake) *measure.Run {
	t.Helper()
	l, err := New(cfg, asFlagsSay, f, nobody)
	require.NoError(t, err)
	l.receiptGrace = 50 * time.Millisecond
	r, err := l.Run(t.Context(), t.Context())
	require.NoError(t, err)
	return r
}

func TestEveryEventOfARateIsSentAndVerified(t *testing.T) {
	f := newFake()
	r := runLoad(t, testConfig(), f)
	require.Empty(t, r.Violations)
	require.EqualValues(t, 1000+f.shards, r.Sent, "20,000 a second for 50 ms, and one to close each shard")
	require.Equal(t, r.Sent, r.Acked)
	require.Equal(t, r.Sent, r.Applied)
	require.Equal(t, r.Sent, r.Receipts)
	require.Equal(t, r.Sent, r.ReceiptsAsked)
	require.Zero(t, r.Failed)
	require.Positive(t, r.LastReceipt)
	require.Positive(t, r.Apply.Quantile(0.5))
	require.EqualValues(t, r.Sent, r.Lag.Count())
	require.Zero(t, r.Unsent)
	require.GreaterOrEqual(t, r.Sending, 49*time.Millisecond)
	require.Len(t, r.Shards, f.shards)
	var inSeries [3]uint64
	for _, p := range r.SentOver.Points {
		inSeries[0] += p.Events
	}
	for _, p := range r.AckedOver.Points {
		inSeries[1] += p.Events
	}
	for _, p := range r.AppliedOver.Points {
		inSeries[2] += p.Receipts
	}
	require.Equal(t, [3]uint64{r.Sent, r.Sent, r.Sent}, inSeries)
	var keys, events uint64
	for _, s := range r.Shards {
		keys, events = keys+s.Keys, events+s.Events
	}
	require.EqualValues(t, 10, keys)
	require.Equal(t, r.Sent, events)
	for shard := range f.shards {
		require.True(t, f.last[shard].Receipt)
	}
}

func TestMaxRateWithAShareOfReceipts(t *testing.T) {
	f := newFake()
	cfg := testConfig()
	cfg.Schedule, cfg.Receipts, cfg.Keys = pace.Schedule{}, 1.0/16, 2500
	cfg.Duration, cfg.Events = 0, 4000
	r := runLoad(t, cfg, f)
	require.Empty(t, r.Violations)
	require.EqualValues(t, 4000+f.shards, r.Sent)
	require.Equal(t, r.Sent, r.Applied)
	share := (float64(r.ReceiptsAsked) - float64(f.shards)) / float64(r.Sent)
	require.InDelta(t, 1.0/16, share, 0.001)
	require.Equal(t, r.ReceiptsAsked, r.Receipts)
	for shard := range f.shards {
		require.True(t, f.last[shard].Receipt, "the last event of each shard asks")
	}
	require.GreaterOrEqual(t, f.asked, 2, "more keys than one page")
}

func TestEventsSpreadAsTold(t *testing.T) {
	for distribution, hottest := range map[string][2]uint64{ // bounds of 1,000 events and one to close each shard
		"uniform":    {60, 150},
		"sequential": {100, 104},
		"zipf:10":    {980, 1004},
		"hot:0.9:1":  {850, 950},
	} {
		f := newFake()
		cfg := testConfig()
		require.NoError(t, cfg.Distribution.UnmarshalText([]byte(distribution)))
		r := runLoad(t, cfg, f)
		require.Empty(t, r.Violations)
		got := f.states["load-t-0"].Count
		require.True(t, got >= hottest[0] && got <= hottest[1], "%s: %d events of the first key", distribution, got)
	}
}

func TestFaultsAreReported(t *testing.T) {
	at := func(n int, bad fate) func(int, publish.Event) fate {
		return func(nth int, _ publish.Event) fate {
			if nth == n {
				return bad
			}
			return fine
		}
	}
	for name, c := range map[string]struct {
		fault                    func(*fake)
		lost, doubled, reordered uint64
		unknown, failed          uint64
		says                     string
	}{
		"dropped":                 {fault: func(f *fake) { f.fate = at(500, fate{}) }, lost: 1, says: "lost: key load-t-"},
		"doubled":                 {fault: func(f *fake) { f.fate = at(500, fate{applied: 2}) }, doubled: 1, says: "duplicated: key load-t-"},
		"swapped":                 {fault: func(f *fake) { f.fate = at(500, fate{applied: 1, late: true}) }, reordered: 1, says: "reordered: key load-t-"},
		"given up, applied":       {fault: func(f *fake) { f.fate = at(500, fate{err: publish.ErrUnknown, applied: 1}) }, failed: 1},
		"given up, not applied":   {fault: func(f *fake) { f.fate = at(500, fate{err: publish.ErrUnknown}) }, failed: 1},
		"given up, applied late":  {fault: func(f *fake) { f.fate = at(500, fate{err: publish.ErrUnknown, applied: 1, late: true}) }, failed: 1, unknown: 1, says: "unknown: key load-t-"},
		"given up, applied twice": {fault: func(f *fake) { f.fate = at(500, fate{err: publish.ErrUnknown, applied: 2}) }, failed: 1, doubled: 1, says: "duplicated"},
		"not sent":                {fault: func(f *fake) { f.fate = at(500, fate{err: publish.ErrNotSent}) }, failed: 1},
		"not sent, yet applied":   {fault: func(f *fake) { f.fate = at(500, fate{err: publish.ErrNotSent, applied: 1}) }, failed: 1, doubled: 1, says: "duplicated"},
		"refused":                 {fault: func(f *fake) { f.fate = at(500, fate{err: errRefused}) }, failed: 1},
		"refused, yet applied":    {fault: func(f *fake) { f.fate = at(500, fate{err: errRefused, applied: 1}) }, failed: 1, doubled: 1, says: "duplicated"},
		"no states":               {fault: func(f *fake) { f.unread = errors.New("no worker answers") }, unknown: 10, says: "no worker answers"},
		"a state not readable":    {fault: func(f *fake) { f.garble = garble("load-t-3") }, unknown: 1, says: "key load-t-3: codec 7"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake()
			c.fault(f)
			r := runLoad(t, testConfig(), f)
			require.Equal(t, []uint64{c.lost, c.doubled, c.reordered, c.unknown, c.failed},
				[]uint64{r.Lost, r.Duplicated, r.Reordered, r.UnknownKeys, r.Failed}, r.Violations)
			require.Equal(t, r.Sent, r.Acked+r.Failed)
			if c.says == "" {
				require.Empty(t, r.Violations)
				return
			}
			require.NotEmpty(t, r.Violations)
			require.Contains(t, r.Violations[0], c.says)
		})
	}
}

// Events that are acknowledged and not applied yet are not lost: their shards stand still before them.
func TestStuckShardIsUnfinished(t *testing.T) {
	f := newFake()
	f.stuck, f.at = 7, []int{1, 3}
	r := runLoad(t, testConfig(), f)
	require.Empty(t, r.Violations)
	require.Zero(t, r.Lost)
	require.EqualValues(t, 14, r.Unfinished)
	require.Equal(t, r.Acked, r.Applied+r.Unfinished)
	end := func(shard int) uint64 { return f.ends[shard] }
	require.Equal(t, []measure.Short{
		{Shard: 1, Seq: end(1) - 7, End: end(1), Why: "stands still"},
		{Shard: 3, Seq: end(3) - 7, End: end(3), Why: "no worker that answers owns it"},
	}, r.Short)
	require.Equal(t, report.Unfinished, report.New(report.Config{}, r).Verdict)
}

// Only shards that stand still excuse a count that falls short, and only what comes behind the shard's position.
func TestFaultsBesideAStuckShard(t *testing.T) {
	for name, c := range map[string]struct {
		shard int
		bad   fate
		want  [4]uint64 // lost, duplicated, reordered, unfinished
	}{
		"lost elsewhere":         {2, fate{}, [4]uint64{1, 0, 0, 1}},
		"lost before it":         {1, fate{}, [4]uint64{0, 0, 1, 1}},
		"doubled before it":      {1, fate{applied: 2}, [4]uint64{0, 1, 0, 1}},
		"doubled by another key": {2, fate{applied: 2}, [4]uint64{0, 1, 0, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake()
			cfg := testConfig()
			cfg.Keys = 40
			f.stuck, f.at = 1, []int{1}
			key := ""
			f.fate = func(nth int, ev publish.Event) fate {
				if nth > 500 && key == "" && f.shardOf(ev.Key) == c.shard {
					key = ev.Key
					return c.bad
				}
				return fine
			}
			r := runLoad(t, cfg, f)
			require.Len(t, r.Short, 1)
			got := [4]uint64{r.Lost, r.Duplicated, r.Reordered, r.Unfinished}
			require.Equal(t, c.want, got, "key %s: %v", key, r.Violations)
			require.Equal(t, report.Fail, report.New(report.Config{}, r).Verdict)
		})
	}
}

// Where no position can be read, nothing is known of the log's end: a count that falls short may yet be made up.
func TestPositionsThatCannotBeReadLoseNothing(t *testing.T) {
	f := newFake()
	f.stuck, f.at, f.lost = 7, []int{1}, errors.New("no worker answers")
	r := runLoad(t, testConfig(), f)
	require.Zero(t, r.Lost)
	require.EqualValues(t, 7, r.Unfinished)
	require.Empty(t, r.Short)
	require.Equal(t, []string{"whether all is applied cannot be told: the shards' positions could not be read for 200ms: no worker answers"}, r.Violations)
	require.Equal(t, report.Fail, report.New(report.Config{}, r).Verdict)
}

func garble(key string) func(string, *Stored) {
	return func(k string, s *Stored) {
		if k == key {
			s.Err = errors.New("codec 7")
		}
	}
}

func TestNothingAcknowledgedIsNotAPass(t *testing.T) {
	f := newFake()
	f.fate = func(int, publish.Event) fate { return fate{err: publish.ErrNotSent} }
	r := runLoad(t, testConfig(), f)
	require.Zero(t, r.Acked)
	require.Equal(t, report.Fail, report.New(report.Config{}, r).Verdict)
}

func TestMissingReceiptsDoNotFailARun(t *testing.T) {
	f := newFake()
	f.fate = func(nth int, _ publish.Event) fate { return fate{applied: 1, silent: nth == 3} }
	r := runLoad(t, testConfig(), f)
	require.Empty(t, r.Violations)
	require.Equal(t, r.ReceiptsAsked-1, r.Receipts)
}

func TestInterruptStillVerifies(t *testing.T) {
	for _, rate := range []pace.Schedule{{}, pace.Constant(1000), pace.Constant(2)} {
		f := newFake()
		cfg := testConfig()
		cfg.Schedule, cfg.Duration = rate, time.Hour
		sending, interrupt := context.WithCancel(t.Context())
		f.onSent = func(nth int) {
			if nth == 0 {
				interrupt()
			}
		}
		l, err := New(cfg, asFlagsSay, f, nobody)
		require.NoError(t, err)
		r, err := l.Run(t.Context(), sending)
		require.NoError(t, err)
		require.Empty(t, r.Violations)
		require.Equal(t, r.Sent, r.Applied)
		require.True(t, r.Interrupted)
	}
}

// watched is a system that tells when it is asked for positions.
type watched struct {
	System
	asked func()
}

func (w watched) Positions(ctx context.Context) ([]Position, error) {
	w.asked()
	return w.System.Positions(ctx)
}

// One interrupt ends a load that sends no more and waits for the log's end.
func TestInterruptEndsTheWaitForTheLogsEnd(t *testing.T) {
	f := newFake()
	f.stuck, f.at = 7, []int{1}
	cfg := testConfig()
	cfg.DrainTimeout = time.Hour
	sending, interrupt := context.WithCancel(t.Context())
	l, err := New(cfg, asFlagsSay, watched{f, interrupt}, nobody)
	require.NoError(t, err)
	r, err := l.Run(t.Context(), sending)
	require.NoError(t, err)
	require.EqualValues(t, 7, r.Unfinished)
	require.Zero(t, r.Lost)
	require.True(t, r.Interrupted)
}

func TestAbort(t *testing.T) {
	f := newFake()
	cfg := testConfig()
	cfg.Schedule, cfg.Duration = pace.Schedule{}, time.Hour
	ctx, abort := context.WithCancel(t.Context())
	f.onSent = func(nth int) {
		if nth == 100 {
			abort()
		}
	}
	l, err := New(cfg, asFlagsSay, f, nobody)
	require.NoError(t, err)
	_, err = l.Run(ctx, ctx)
	require.ErrorIs(t, err, ErrAborted)
}

func TestRefusedFirstEventIsAnError(t *testing.T) {
	f := newFake()
	f.refuse = errRefused
	l, err := New(testConfig(), asFlagsSay, f, nobody)
	require.NoError(t, err)
	_, err = l.Run(t.Context(), t.Context())
	require.ErrorIs(t, err, errRefused)
}

func TestConfigIsChecked(t *testing.T) {
	for says, change := range map[string]func(*Config){
		"duration must be more than 0":         func(c *Config) { c.Duration = 0 },
		"must be at most 100h together":        func(c *Config) { c.Duration = 101 * time.Hour },
		"warm-up must be at least 0":           func(c *Config) { c.WarmUp = -1 },
		"size must be from 12":                 func(c *Config) { c.Payload.Size = expect.Bytes(1) },
		"in flight must be from 1":             func(c *Config) { c.InFlight = 0 },
		"part must be from 0 to 1, not 2":      func(c *Config) { c.Part, c.Parts = 2, 2 },
		"1 events are not enough for 2":        func(c *Config) { c.Events, c.Parts = 1, 2 },
		"delivery timeout must be at least 1s": func(c *Config) { c.DeliveryTimeout = time.Millisecond },
		"drain timeout must be more than 0":    func(c *Config) { c.DrainTimeout = -1 },
		"keys must be from 1":                  func(c *Config) { c.Keys = 0 },
		"leaves no key for the other events":   func(c *Config) { _ = c.Distribution.UnmarshalText([]byte("hot:0.5:10")) },
	} {
		cfg := testConfig()
		change(&cfg)
		_, err := New(cfg, asFlagsSay, newFake(), nobody)
		require.ErrorContains(t, err, says)
	}
}

func TestAutoShare(t *testing.T) {
	require.EqualValues(t, 1, AutoShare(50_000))
	require.Equal(t, defaultShare, AutoShare(50_001))
	require.Equal(t, defaultShare, AutoShare(pace.Schedule{}.Peak()))
}
