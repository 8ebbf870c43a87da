package report

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/lockstep/pkg/load/internal/measure"
	"example.com/lockstep/pkg/load/internal/report/chart"
)

// pagesDir keeps the pages, to look at them: go test ./internal/report -run TestPages -pages=/tmp/pages
var pagesDir = flag.String("pages", "", "keep the pages that the tests make in this folder")

var svgs = regexp.MustCompile(`(?s)<svg.*?</svg>`)

// pageOf is the page of a report that went through a file.
func pageOf(t *testing.T, r Report) string {
	t.Helper()
	body, err := json.Marshal(r)
	require.NoError(t, err)
	var again Report
	require.NoError(t, json.Unmarshal(body, &again))
	var direct, read strings.Builder
	require.NoError(t, r.WriteHTML(&direct))
	require.NoError(t, again.WriteHTML(&read))
	require.Equal(t, direct.String(), read.String(), "the page needs nothing but report.json")
	return direct.String()
}

func TestPages(t *testing.T) {
	for name, r := range samples() {
		t.Run(name, func(t *testing.T) {
			page := pageOf(t, r)
			if *pagesDir != "" {
				require.NoError(t, os.MkdirAll(*pagesDir, 0o755))
				require.NoError(t, os.WriteFile(filepath.Join(*pagesDir, strings.ReplaceAll(name, " ", "-")+".html"), []byte(page), 0o644))
			}
			require.Less(t, len(page), 1<<20)
			for _, section := range []string{"Verdict", "Key figures", "How the load was made", "Charts", "Pauses", "Changes of ownership"} {
				require.Contains(t, page, fmt.Sprintf("aria-label=%q", section))
			}
			for _, title := range []string{"Throughput over time", "Latency over time, until applied", "Schedule lag over time", "Latency by percentile", "Events per shard", "Keys per shard"} {
				require.Contains(t, page, "<title>"+title+"</title>")
			}
			require.Equal(t, len(r.Violations) > 0, strings.Contains(page, `aria-label="Violations"`))
			require.Equal(t, len(r.UnfinishedShards) > 0, strings.Contains(page, `aria-label="Unfinished shards"`))
			require.Equal(t, len(r.Thresholds) > 0, strings.Contains(page, `aria-label="Thresholds"`))
			require.Equal(t, r.FindMax != nil, strings.Contains(page, `aria-label="Search for the highest rate"`))
			require.Equal(t, r.Interrupted, strings.Contains(page, "Interrupted: "))
			refersToNothing(t, page)
			drawings := svgs.FindAllString(page, -1)
			require.Len(t, drawings, 6)
			for _, svg := range drawings {
				wellFormed(t, svg)
			}
		})
	}
}

// refersToNothing fails if the page would make a browser load something.
func refersToNothing(t *testing.T, page string) {
	t.Helper()
	own := strings.ReplaceAll(page, `xmlns="http://www.w3.org/2000/svg"`, "")
	for _, s := range []string{"http:", "https:", "//www", "src=", "href=", "url(", "@import", "<link", "<script", "<iframe", "NaN", "Inf", "ZgotmplZ"} {
		lacks(t, own, s)
	}
}

// lacks fails without printing the page.
func lacks(t *testing.T, page, s string) {
	t.Helper()
	require.False(t, strings.Contains(page, s), "the page has %q", s)
}

func wellFormed(t *testing.T, svg string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		_, err := d.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		require.NoError(t, err)
	}
}

func TestPageEscapes(t *testing.T) {
	r := samples()["fail"]
	r.Config.Run, r.Config.Rate, r.Config.Distribution = "<b>run", "<b>rate", "<b>distribution"
	r.Thresholds = []Threshold{{Threshold: "apply.p99<b>"}}
	r.Owners = []Owner{{Owner: "<b>owner"}}
	r.FindMax = &FindMax{Trials: []Trial{{Why: "<b>why"}}}
	r.Verdict = `"><b>verdict`
	page := pageOf(t, r)
	lacks(t, page, "<script")
	lacks(t, regexp.MustCompile(`(?s)<dl class="figures">.*?</dl>`).ReplaceAllString(page, ""), "<b>")
	require.Contains(t, page, "&lt;script&gt;alert(1)&lt;/script&gt;: 0 of 1 events applied")
	require.Equal(t, 20, strings.Count(page, "<li>lost: key"))
}

func TestPageIsBounded(t *testing.T) {
	r := samples()["1 s"]
	for i := range 10_000 {
		r.Violations = append(r.Violations, "wrong")
		r.Owners = append(r.Owners, Owner{At: float64(i) / 1e4, Owner: "w"})
		r.Pauses.Longest = append(r.Pauses.Longest, Pause{From: float64(i) / 1e4, Seconds: 0.1})
	}
	page := pageOf(t, r)
	require.Less(t, len(page), 300_000)
	require.Equal(t, 2, strings.Count(page, "9800 more are in report.json"))
}

// shaded counts the shaded areas of one ink in all charts of a page.
func shaded(page string, ink chart.Ink) int {
	return strings.Count(page, "fill:"+strings.ToUpper(ink.CSS()))
}

func TestStallsAreShaded(t *testing.T) {
	all := samples()
	for name, stalls := range map[string]int{"calm": 0, "stopped for 1 s": 1, "killed": 2, "1024 shards": 2, "one hour": 2} {
		page := pageOf(t, all[name])
		require.Equal(t, 3*stalls, shaded(page, chart.Rose), "%s: in each of the three charts over time", name)
		require.Equal(t, stalls > 0, strings.Contains(page, "a shard paused"), "the legend of %s", name)
	}
	require.Equal(t, 3, shaded(pageOf(t, all["killed"]), chart.Grey), "the warm-up")
	require.Zero(t, shaded(pageOf(t, all["1 s"]), chart.Grey))
}

func TestPausesOfManyShardsAreOneBand(t *testing.T) {
	require.Empty(t, pauseBands(nil, 10))
	bands := pauseBands([]Pause{{Shard: 1, From: 7, Seconds: 1}, {Shard: 2, From: 2, Seconds: 0.5}, {Shard: 3, From: 2.25, Seconds: 2}, {Shard: 4, From: 2.5, Seconds: 0.25}}, 10)
	require.Equal(t, []chart.Band{{Ink: chart.Rose, From: 2, To: 4.25}, {Ink: chart.Rose, From: 7, To: 8}}, bands)
}

func TestSimultaneousOwnerChangesAreOneMark(t *testing.T) {
	require.Empty(t, ownerMarks(nil, 10))
	marks := ownerMarks([]Owner{{At: 8}, {At: 2.1}, {At: 2}, {At: 2.2}, {At: -1}, {At: 11}}, 10)
	require.Equal(t, []chart.Mark{{Ink: chart.Violet, At: 2, Label: "3"}, {Ink: chart.Violet, At: 8, Label: "1"}}, marks)
	var many []Owner
	for i := range 5000 {
		many = append(many, Owner{At: float64(i) / 500})
	}
	require.LessOrEqual(t, len(ownerMarks(many, 10)), 36, "so that their labels have room")
}

func TestPageOfARunWithoutPoints(t *testing.T) {
	r := New(Config{}, measure.New())
	r.Verdict = "of another version"
	page := pageOf(t, r)
	require.Contains(t, page, "of another version")
	require.Contains(t, page, "nothing was sent")
}

func TestPageThatCannotBeWritten(t *testing.T) {
	require.ErrorIs(t, samples()["1 s"].WriteHTML(failing{}), io.ErrClosedPipe)
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func BenchmarkWriteHTML(b *testing.B) {
	r := simulated{rate: 50, duration: time.Hour, shards: 1024, keys: 10_000}.report()
	b.ReportAllocs()
	for b.Loop() {
		if err := r.WriteHTML(io.Discard); err != nil {
			b.Fatal(err)
		}
	}
}

func TestFiguresThatAreWrongStandOut(t *testing.T) {
	all := samples()
	bad, odd := `<div class="bad">`, `<div class="odd">`
	lacks(t, pageOf(t, all["calm"]), bad)
	lacks(t, pageOf(t, all["calm"]), odd)
	require.Equal(t, 6, strings.Count(pageOf(t, all["fail"]), bad), "lost, duplicated, reordered, unproven, unknown, refused")
	require.Equal(t, 1, strings.Count(pageOf(t, all["fail"]), odd), "behind")
	require.Equal(t, 1, strings.Count(pageOf(t, all["nothing acked"]), odd), "failed")
	lacks(t, pageOf(t, all["nothing acked"]), "</b> ms")
}
