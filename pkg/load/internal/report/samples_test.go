package report

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"example.com/lockstep/pkg/load/internal/measure"
)

// simulated is a load that takes no time, to make reports of.
type simulated struct {
	rate     int // events per second
	duration time.Duration
	warmUp   time.Duration
	shards   int
	keys     int
	stalls   []stall
	owners   []measure.Owner
}

// stall is a time in which some shards apply nothing.
type stall struct {
	from, to time.Duration
	hits     func(shard int) bool
}

// every hits each nth shard.
func every(n int) func(int) bool { return func(shard int) bool { return shard%n == 0 } }

// run makes the load.
func (s simulated) run() *measure.Run {
	random := rand.New(rand.NewPCG(1, 2))
	r := measure.New()
	r.Start = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	r.WarmUp, r.Sending = s.warmUp, s.duration
	r.Shards = make([]measure.Shard, s.shards)
	for key := range s.keys {
		r.Shards[key*7919%s.shards].Keys++
	}
	type receipt struct {
		shard         int
		intended, now time.Duration
	}
	var receipts []receipt
	for i := range int(float64(s.rate) * s.duration.Seconds()) {
		intended := time.Duration(float64(i) / float64(s.rate) * float64(time.Second))
		lag := time.Duration(random.ExpFloat64() * float64(60*time.Microsecond))
		ack := lag + time.Duration(math.Exp(random.NormFloat64()*0.3)*float64(1800*time.Microsecond))
		apply := ack + time.Duration(math.Exp(random.NormFloat64()*0.4)*float64(1200*time.Microsecond))
		shard := random.IntN(s.keys) * 7919 % s.shards
		for _, st := range s.stalls {
			if now := intended + apply; now >= st.from && now < st.to && st.hits(shard) {
				apply = st.to - intended + (now-st.from)/20
			}
		}
		r.Sent++
		r.Acked++
		r.Applied++
		r.ReceiptsAsked++
		r.Receipts++
		r.Shards[shard].Events++
		if intended < s.warmUp {
			r.WarmUpAcked++
		} else {
			r.Ack.Record(ack)
			r.Apply.Record(apply)
			r.Lag.Record(lag)
		}
		sent := r.SentOver.At(intended + lag)
		sent.Events++
		sent.MaxLag = max(sent.MaxLag, lag)
		r.AckedOver.At(intended+ack).Events++
		r.AppliedOver.At(intended).Wait(apply)
		r.AppliedOver.At(intended+apply).Receipts++
		r.LastAck = max(r.LastAck, intended+ack)
		r.LastReceipt = max(r.LastReceipt, intended+apply)
		receipts = append(receipts, receipt{shard, intended, intended + apply})
	}
	slices.SortFunc(receipts, func(a, b receipt) int { return int(a.now - b.now) })
	progress := measure.NewProgress(s.shards)
	for _, x := range receipts {
		progress.Received(x.shard, x.intended, x.now, &r.Pauses)
	}
	r.Owners = s.owners
	return r
}

// config is how it was made.
func (s simulated) config() Config {
	return Config{
		App: "app", Run: "ab12", Rate: fmt.Sprint(s.rate), InFlight: 4096, Duration: s.duration.String(), WarmUp: s.warmUp.String(),
		Producers: 1, Keys: s.keys, Distribution: "uniform", Payload: "128 random bytes", Seed: 1, Receipts: 1, Shards: s.shards,
	}
}

func (s simulated) report() Report { return New(s.config(), s.run()) }

// takeover is how shards go to other workers, from a moment on.
func takeover(at time.Duration, shards, every int) []measure.Owner {
	var out []measure.Owner
	for shard := 0; shard < shards; shard += every {
		out = append(out, measure.Owner{At: at + time.Duration(shard)*500*time.Microsecond, Shard: shard, Name: fmt.Sprintf("worker-%d", 2+shard%2)})
	}
	return out
}

// samples are reports of all shapes that a page must be able to show. They are
// made once, and not to be changed.
var samples = sync.OnceValue(makeSamples)

func makeSamples() map[string]Report {
	calm := simulated{rate: 2000, duration: 6 * time.Second, warmUp: time.Second, shards: 16, keys: 1000}
	out := map[string]Report{"calm": calm.report()}

	stopped := calm
	stopped.stalls = []stall{{3 * time.Second, 4 * time.Second, every(1)}}
	out["stopped for 1 s"] = stopped.report()

	killed := simulated{rate: 2000, duration: 10 * time.Second, warmUp: 2 * time.Second, shards: 16, keys: 1000,
		stalls: []stall{
			{4 * time.Second, 4*time.Second + 350*time.Millisecond, every(3)},
			{8 * time.Second, 8*time.Second + 120*time.Millisecond, every(5)},
		},
		owners: slices.Concat(takeover(4*time.Second+320*time.Millisecond, 16, 3), takeover(8*time.Second+100*time.Millisecond, 16, 5), []measure.Owner{{At: 9 * time.Second, Shard: 3, Name: "worker-1"}}),
	}
	crossed := killed.report()
	crossed.Verdict = Crossed
	crossed.Thresholds = []Threshold{
		{Threshold: "apply.p99<50ms", Value: crossed.LatencyMS.Apply.P99},
		{Threshold: "applied.rate>4000", Value: crossed.AppliedPerSecond, Held: true},
	}
	out["killed"] = crossed

	for _, shards := range []int{1, 256, 1024} {
		many := killed
		many.shards, many.keys = shards, 10_000
		many.owners = takeover(4*time.Second+100*time.Millisecond, shards, 3)
		out[fmt.Sprintf("%d shards", shards)] = many.report()
	}
	out["1 s"] = simulated{rate: 1000, duration: time.Second, shards: 16, keys: 10}.report()
	out["one event"] = simulated{rate: 1, duration: time.Second, shards: 16, keys: 1}.report()

	hour := simulated{rate: 20, duration: time.Hour, warmUp: time.Minute, shards: 16, keys: 1000,
		stalls: []stall{{20 * time.Minute, 20*time.Minute + 400*time.Millisecond, every(2)}, {40 * time.Minute, 40*time.Minute + 30*time.Second, every(1)}},
		owners: takeover(20*time.Minute, 16, 2)}
	out["one hour"] = hour.report()

	nothing := measure.New()
	nothing.Sent, nothing.Failed, nothing.Sending = 500, 500, time.Second
	for i := range 500 {
		nothing.SentOver.At(time.Duration(i)*2*time.Millisecond).Events++
		nothing.AckedOver.At(time.Duration(i)*3*time.Millisecond).Failed++
	}
	out["nothing acked"] = New(calm.config(), nothing)
	out["empty"] = New(Config{}, measure.New())

	zero := measure.New()
	zero.Sent, zero.Acked, zero.Applied, zero.Receipts, zero.ReceiptsAsked = 100, 100, 100, 100, 100
	for range 100 {
		zero.Ack.Record(0)
		zero.Apply.Record(0)
		zero.SentOver.At(0).Events++
		zero.AckedOver.At(0).Events++
		zero.AppliedOver.At(0).Receipts++
		zero.AppliedOver.At(0).Wait(0)
	}
	out["all zero"] = New(calm.config(), zero)

	wrong := calm.run()
	wrong.Lost, wrong.Duplicated, wrong.Reordered, wrong.Unproven, wrong.UnknownKeys, wrong.Refused = 12, 3, 4, 2, 1, 5
	wrong.Overdue, wrong.Unsent = 700, 650
	for i := range 20 {
		wrong.Violations = append(wrong.Violations, fmt.Sprintf(`lost: key load-ab12-%d"<script>alert(1)</script>: 0 of 1 events applied, %0200d`, i, i))
	}
	wrong.Interrupted = true
	failed := calm.config()
	failed.Profile = `</title><script>alert("profile")</script>`
	out["fail"] = New(failed, wrong)

	short := calm.run()
	short.Applied, short.Unfinished = short.Applied-300, 300
	for shard := range 3 {
		short.Short = append(short.Short, measure.Short{Shard: shard, Seq: 100, End: 200, Why: `worker-1 owns it and says: <script>alert("stopped")</script>`})
	}
	out["unfinished"] = New(calm.config(), short)

	dropped := calm.run()
	dropped.Deleted, dropped.Dropped, dropped.Drops = 3, 2, []string{`key load-ab12-1<script>alert("dropped")</script>: 2 of 40 events dropped, so only their count was compared`}
	out["dropped"] = New(calm.config(), dropped)

	parked := calm.run()
	parked.SetAside, parked.SetAsideKeys, parked.Parked, parked.ParkedKeys, parked.Expected = 12, 3, 9, 2, 1
	parked.Lists = []string{`key load-ab12-2<script>alert("parked")</script> (parked): 1 applied and 9 parked of 10 sent`}
	out["parked"] = New(calm.config(), parked)

	backlog := killed
	backlog.stalls = []stall{{2500 * time.Millisecond, 7 * time.Second, every(1)}}
	backlog.owners = nil
	run := backlog.run()
	run.Backlog = &measure.Backlog{Events: 22_500, Resumed: 7 * time.Second, Drained: 7250 * time.Millisecond}
	out["backlog"] = New(backlog.config(), run)

	found := calm.report()
	found.Config.Rate = "find-max"
	found.FindMax = &FindMax{BoundMS: 50, Rate: 5000, Trials: []Trial{
		{Rate: 2500, AppliedPerSecond: 2500, ApplyP99MS: 6.1, Held: true},
		{Rate: 10_000, AppliedPerSecond: 8312, ApplyP99MS: 412.5, Why: "the p99 of apply latency was 412.5 ms"},
		{Rate: 5000, AppliedPerSecond: 5000, ApplyP99MS: 8.25, Held: true},
	}}
	out["find-max"] = found
	return out
}
