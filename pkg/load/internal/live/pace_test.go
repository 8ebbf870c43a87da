package live

import (
	"fmt"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/load"
	"example.com/lockstep/pkg/load/internal/drive"
	"example.com/lockstep/pkg/load/internal/expect"
	"example.com/lockstep/pkg/load/internal/pace"
	"example.com/lockstep/pkg/load/internal/progress"
	"example.com/lockstep/pkg/testkit"
	"example.com/lockstep/pkg/topology"
)

// BenchmarkPace sends at a rate to a null router, which says of every frame at
// once that it is stored: what is left is the load generator, its publisher and
// NATS. It tells how far the load fell behind its schedule. There are no
// workers, so its verdict counts for nothing.
//
//	go test -run '^$' -bench Pace -benchtime 1x ./internal/live
func BenchmarkPace(b *testing.B) {
	for _, rate := range []uint64{100_000, 500_000, 1_000_000} {
		b.Run(fmt.Sprint(rate), func(b *testing.B) {
			for range b.N {
				pacing(b, rate)
			}
		})
	}
}

func pacing(b *testing.B, rate uint64) {
	const duration = 5 * time.Second
	server := testkit.NATS(b)
	js, err := jetstream.New(server.Conn)
	require.NoError(b, err)
	initial := topology.Initial{Shards: 16, Log: topology.Log{Replicas: 1, MaxBytes: 1 << 20}}
	_, _, err = topology.Open(b.Context(), js, "app", initial, slog.New(slog.DiscardHandler))
	require.NoError(b, err)
	router, err := nats.Connect(server.URL)
	require.NoError(b, err)
	defer router.Close()
	var f frame.Frame
	_, err = router.Subscribe(topology.FrameSubject("app"), func(m *nats.Msg) {
		if f.Decode(m.Data) == nil {
			_ = m.RespondMsg(&nats.Msg{Reply: m.Subject + ".test", Data: frame.Answer{Seq: f.Events[0].Seq}.Append(nil)})
		}
	})
	require.NoError(b, err)
	require.NoError(b, router.Flush())

	sys, err := New(server.Conn, "app")
	require.NoError(b, err)
	l, err := drive.New(drive.Config{
		App: "app", Run: "pace", Schedule: pace.Constant(rate), InFlight: drive.DefaultInFlight, Duration: duration,
		Keys: 10_000, Payload: expect.Payload{}, Receipts: 1.0 / 16, DeliveryTimeout: time.Second, DrainTimeout: 100 * time.Millisecond, Parts: 1,
	}, load.Application{Generate: func(d *load.Draw) load.Event { return load.Event{Payload: d.Content()} }}, sys, progress.Lines(io.Discard))
	require.NoError(b, err)
	r, err := l.Run(b.Context(), b.Context())
	require.NoError(b, err)
	due := duration.Seconds() * float64(rate)
	b.ReportMetric(100*float64(r.Overdue)/due, "%behind")
	b.ReportMetric(float64(r.Acked)/r.LastAck.Seconds(), "acked/s")
	b.ReportMetric(float64(r.Lag.Quantile(0.5).Microseconds())/1000, "ms-lag-p50")
	b.ReportMetric(float64(r.Lag.Quantile(0.99).Microseconds())/1000, "ms-lag-p99")
	b.ReportMetric(float64(r.Ack.Quantile(0.99).Microseconds())/1000, "ms-ack-p99")
}
