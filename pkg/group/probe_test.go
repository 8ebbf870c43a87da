package group

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestJudge(t *testing.T) {
	type probe struct {
		at   time.Duration // since the first one
		a    answer
		want verdict
	}
	const tick = probeEvery
	silence := func(n int, from time.Duration) []probe {
		var out []probe
		for i := range n {
			out = append(out, probe{from + time.Duration(i)*tick, silent, alive})
		}
		return out
	}
	for name, c := range map[string]struct {
		up     time.Duration // the prober's connection was up for so long at the first probe
		probes []probe
	}{
		"refused twice in a row: gone":    {time.Hour, []probe{{0, refused, alive}, {tick, refused, gone}}},
		"refused, heard, refused: alive":  {time.Hour, []probe{{0, refused, alive}, {tick, heard, alive}, {2 * tick, refused, alive}}},
		"refused, silent, refused: alive": {time.Hour, []probe{{0, refused, alive}, {tick, silent, alive}, {2 * tick, refused, alive}}},
		"silent for 2 s: hung":            {time.Hour, append(silence(10, 0), probe{2 * time.Second, silent, hung})},
		"silent for 2 s since heard: hung": {time.Hour, append(append([]probe{{0, heard, alive}}, silence(9, tick)...),
			probe{2 * time.Second, silent, hung})},
		"deaf: alive; silence counts anew": {time.Hour, append(append(silence(9, 0), probe{9 * tick, deaf, alive}),
			append(silence(9, 10*tick), probe{19 * tick, silent, hung})...)},
		"heard between: alive": {time.Hour, append(append(silence(9, 0), probe{9 * tick, heard, alive}), silence(9, 10*tick)...)},
		"a hung member is hung until it is not": {time.Hour, append(silence(10, 0), probe{2 * time.Second, silent, hung},
			probe{2*time.Second + tick, silent, hung}, probe{2*time.Second + 2*tick, heard, alive})},
		"own connection young": {0, append([]probe{{0, refused, alive}, {tick, refused, alive}, {2 * tick, refused, alive}},
			silence(22, 3*tick)...)},
		"judged anew once it is not":         {4900 * time.Millisecond, []probe{{0, refused, alive}, {tick, refused, alive}, {2 * tick, refused, gone}}},
		"silence from before does not count": {4900 * time.Millisecond, append(silence(10, 0), probe{2 * time.Second, silent, hung})},
		// The prober itself slept (a paused process): its probe ran out of time though the member had answered.
		"the prober was paused": {time.Hour, []probe{{0, heard, alive}, {time.Minute, silent, alive}, {time.Minute + tick, heard, alive}}},
		"paused, and then silent for 2 s": {time.Hour, append(append([]probe{{0, heard, alive}}, silence(10, time.Minute)...),
			probe{time.Minute + 2*time.Second, silent, hung})},
	} {
		t.Run(name, func(t *testing.T) {
			first := time.Now()
			var h health
			for _, p := range c.probes {
				require.Equal(t, p.want, h.judge(p.a, first.Add(p.at), first.Add(-c.up), steadyBefore), "at %s", p.at)
			}
		})
	}
}
