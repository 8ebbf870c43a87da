package report

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/lockstep/pkg/load/internal/report/chart"
)

func annotations(t *testing.T, text string) string {
	path := filepath.Join(t.TempDir(), "annotations")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestWhatHappenedIsHeldAgainstPauses(t *testing.T) {
	r := Report{Started: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Verdict: Pass}
	r.Timeline = Timeline{IntervalSeconds: 0.1, Points: []Point{
		{At: 0, ApplyMaxMS: 5100}, {At: 1.95, ApplyMaxMS: 400}, {At: 4.6, ApplyMaxMS: 300}, {At: 4.95, ApplyMaxMS: 500}, {At: 9.9, ApplyMaxMS: 2},
	}}
	r.Pauses.Longest = []Pause{
		{Shard: 1, From: 0.5, Seconds: 5},     // before all
		{Shard: 1, From: 1.9, Seconds: 0.4},   // begun by the last receipt before
		{Shard: 2, From: 2.5, Seconds: 0.3},   // while it lasts
		{Shard: 2, From: 5.1, Seconds: 0.125}, // after the second
	}
	r.Owners = []Owner{{At: 2.1, Shard: 1, Owner: "w"}}
	require.NoError(t, r.Annotate(annotations(t, `{"at":"2026-01-02T03:04:10Z","what":"a moment"}
{"at":"2026-01-02T03:04:07Z","until":"2026-01-02T03:04:08.5Z","what":"<stop>"}
{"at":"2026-01-02T03:04:13Z","what":"nothing came of it"}
`)))
	require.Equal(t, []Annotation{
		{At: 2, Seconds: 1.5, What: "<stop>", PauseSeconds: 0.4, WaitSeconds: 0.4},
		{At: 5, What: "a moment", PauseSeconds: 0.125, WaitSeconds: 0.5},
		{At: 8, What: "nothing came of it", WaitSeconds: 0.002},
	}, r.Annotations)

	for _, m := range r.shading().marks {
		require.Equal(t, m.Ink == chart.Black, m.Label != "", "numbers of what happened, and no counts among them")
	}
	var page, table bytes.Buffer
	require.NoError(t, r.WriteHTML(&page))
	require.Contains(t, page.String(), "What happened meanwhile")
	require.Contains(t, page.String(), "&lt;stop&gt;")
	require.NoError(t, r.WriteTable(&table))
	require.Regexp(t, `2\.0 s +<stop> +0\.40 s +0\.400 s`, table.String())
}

func TestAnnotationsThatCannotBeRead(t *testing.T) {
	for text, says := range map[string]string{
		"{}\nnoon\n":             "line 2 of the annotations in ",
		`{"at":"yesterday"}`:     "line 1 of the annotations in ",
		`{"at":1,"what":"stop"}`: "line 1 of the annotations in ",
	} {
		var r Report
		require.ErrorContains(t, r.Annotate(annotations(t, text)), says)
	}
	var r Report
	require.NoError(t, r.Annotate(filepath.Join(t.TempDir(), "absent")), "nothing happened")
	require.ErrorContains(t, r.Annotate(t.TempDir()), "cannot read the annotations in ")
}
