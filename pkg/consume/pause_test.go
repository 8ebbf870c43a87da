package consume

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestPause(t *testing.T) {
	var p pause
	at := func(ms int) time.Time { return epochStart.Add(time.Duration(ms) * time.Millisecond) }
	require.False(t, p.paused())
	require.Zero(t, p.left(at(0)))
	require.False(t, p.pass(at(0)))
	require.False(t, p.ask(0, at(0)), "it takes rounds anyway")

	require.True(t, p.ask(5*time.Second, at(0)))
	require.Equal(t, 4*time.Second, p.left(at(1000)))
	require.False(t, p.ask(5*time.Second, at(1000)), "renewed")
	require.False(t, p.pass(at(5999)))
	require.Equal(t, time.Millisecond, p.left(at(5999)))
	require.True(t, p.pass(at(6000)))
	require.False(t, p.pass(at(6000)), "once")
	require.False(t, p.paused())

	require.True(t, p.ask(time.Minute, at(10_000)))
	require.False(t, p.ask(time.Second, at(11_000)), "the newest request stands")
	require.Equal(t, time.Second, p.left(at(11_000)))
	require.True(t, p.ask(0, at(11_500)))
	require.Zero(t, p.left(at(11_500)))

	require.True(t, p.ask(time.Second, at(20_000)))
	require.Zero(t, p.left(at(30_000)), "it has run out, and nobody has looked")
	require.False(t, p.ask(time.Second, at(30_000)), "nor noticed")
	require.True(t, p.pass(at(31_000)))
}

// Whatever is asked and whenever one looks: it is paused if the newest request says so, and turns are told one by one.
func TestPauseRunsOutUnlessRenewed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var p pause
		now := epochStart
		asked, d := now, time.Duration(0) // the newest request
		paused := false                   // by the turns told
		spans := rapid.SampledFrom([]time.Duration{0, 1, time.Millisecond, time.Second, 5 * time.Second, time.Minute})
		t.Repeat(map[string]func(*rapid.T){
			"time passes": func(t *rapid.T) { now = now.Add(spans.Draw(t, "time")) },
			"ask": func(t *rapid.T) {
				asked, d = now, spans.Draw(t, "for")
				if p.ask(d, now) {
					paused = !paused
				}
			},
			"": func(t *rapid.T) {
				if p.pass(now) {
					paused = !paused
				}
				want := max(0, asked.Add(d).Sub(now))
				require.Equal(t, want, p.left(now))
				require.Equal(t, want > 0, p.paused())
				require.Equal(t, p.paused(), paused)
			},
		})
	})
}
