package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"
)

//go:embed page.html
var pageText string

//go:embed page.css
var pageCSS string

// mostRows is how many rows a table of the page has; the others are in report.json.
const mostRows = 200

// page is what page.html is filled with.
type page struct {
	Report
	CSS        template.CSS
	Headline   string // the verdict in large letters
	Words      string // and in a sentence
	Violations rows[string]
	Short      rows[ShortShard]
	Lacking    rows[string] // keys of which events were dropped
	Waiting    rows[string] // keys that have a list
	Thresholds rows[Threshold]
	Figures    []figure
	Latencies  []latencyRow
	Trials     rows[Trial]
	Settings   []setting
	Charts     []picture
	LongPauses []Pause
	Changes    rows[Owner]
	Happened   rows[happening]
}

// happening is an annotation with its number.
type happening struct {
	N int
	Annotation
}

// rows are the first rows of a table.
type rows[T any] struct {
	Shown []T
	More  int // that are not shown
}

func firstOf[T any](all []T) rows[T] {
	n := min(len(all), mostRows)
	return rows[T]{Shown: all[:n], More: len(all) - n}
}

// WriteHTML writes the report as a page for people: one file that refers to
// nothing outside itself.
func (r Report) WriteHTML(w io.Writer) error {
	charts, err := r.charts()
	if err != nil {
		return err
	}
	p := page{
		Report:     r,
		CSS:        template.CSS(pageCSS),
		Violations: firstOf(r.Violations),
		Short:      firstOf(r.UnfinishedShards),
		Lacking:    firstOf(r.Drops),
		Waiting:    firstOf(r.Lists),
		Thresholds: firstOf(r.Thresholds),
		Figures:    r.figures(),
		Latencies:  r.latencies(),
		Settings:   r.Config.settings(),
		Charts:     charts,
		LongPauses: longest(r.Pauses.Longest, 10),
		Changes:    firstOf(r.Owners),
	}
	var happened []happening
	for i, a := range r.Annotations {
		happened = append(happened, happening{i + 1, a})
	}
	p.Happened = firstOf(happened)
	if r.FindMax != nil {
		p.Trials = firstOf(r.FindMax.Trials)
	}
	p.Headline, p.Words = r.verdictInWords()
	t, err := template.New("report").Funcs(template.FuncMap{
		"count": count, "ms": milliseconds, "rate": rate, "sec": inSeconds, "number": number,
	}).Parse(pageText)
	if err != nil {
		return fmt.Errorf("the report's page: %w", err)
	}
	return t.Execute(w, p)
}

// verdictInWords says the verdict in large letters and in a sentence.
func (r Report) verdictInWords() (headline, words string) {
	crossed := 0
	for _, t := range r.Thresholds {
		if !t.Held {
			crossed++
		}
	}
	right := "Every event was applied once and in the order sent"
	var but []string
	if r.Parked > 0 {
		but = append(but, fmt.Sprintf("%s that wait in the lists of %s, as expected",
			several(int(r.Parked), "event"), several(int(r.ParkedKeys), "parked key")))
	}
	if r.Dropped > 0 {
		but = append(but, fmt.Sprintf("%s that were dropped, by a handler or an operator", several(int(r.Dropped), "event")))
	}
	if len(but) > 0 {
		right += ", but for " + strings.Join(but, " and ")
	}
	switch r.Verdict {
	case Pass:
		if len(r.Thresholds) > 0 {
			right += ", and every threshold held"
		}
		return "Pass", right + "."
	case Crossed:
		return "Thresholds crossed", fmt.Sprintf("%s, but %d of %s did not hold.", right, crossed, several(len(r.Thresholds), "threshold"))
	case Unfinished:
		return "Unfinished", "Nothing is wrong so far, but when the load gave up waiting " + r.unfinished() + "."
	case Fail:
		return "Fail", fmt.Sprintf("The load did not come out right: %s, listed below.", several(len(r.Violations), "violation"))
	}
	return r.Verdict, ""
}

// unfinished says why not everything is applied.
func (r Report) unfinished() string {
	var out []string
	if r.Unfinished > 0 || len(r.UnfinishedShards) > 0 {
		out = append(out, fmt.Sprintf("%s acknowledged events were not applied yet: their shards, listed below, had not reached the log's end",
			count(r.Unfinished)))
	}
	if r.SetAsideKeys > r.ParkedExpected {
		out = append(out, fmt.Sprintf("%s waited in the lists of %s, of which %s were parked; %s of these were expected",
			several(int(r.SetAside), "event"), several(int(r.SetAsideKeys), "key"), count(r.ParkedKeys), count(r.ParkedExpected)))
	}
	return strings.Join(out, ", and ")
}
