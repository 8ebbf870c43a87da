package report

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"
)

// Annotation is something that happened to the system during the load, and what
// came of it before the next one.
type Annotation struct {
	At           float64 `json:"at"`
	Seconds      float64 `json:"seconds"`       // how long it lasted; 0 for a moment
	What         string  `json:"what"`          // as in kill -9 worker-2
	PauseSeconds float64 `json:"pause_seconds"` // the longest pause of a shard that began with it or after it
	WaitSeconds  float64 `json:"wait_seconds"`  // the longest that an event due then waited to be applied, by the timeline's intervals
}

// annotated is a line of an annotations file.
type annotated struct {
	At    time.Time `json:"at"`
	Until time.Time `json:"until"` // zero for a moment
	What  string    `json:"what"`
}

// maxAnnotations is how many a report takes.
const maxAnnotations = 10_000

// Annotate adds what a file tells of the time of the load: one JSON object a
// line, {"at":TIME,"until":TIME,"what":"..."} with times as RFC 3339 has them;
// until may be missing. No file means that nothing happened.
func (r *Report) Annotate(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot read the annotations in %s: %w", path, bare(err))
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		var a annotated
		if err := json.Unmarshal(lines.Bytes(), &a); err != nil {
			return fmt.Errorf("line %d of the annotations in %s: %w", n, path, err)
		}
		if n > maxAnnotations {
			return fmt.Errorf("the annotations in %s are more than %d", path, maxAnnotations)
		}
		out := Annotation{At: seconds(a.At.Sub(r.Started)), What: a.What}
		if !a.Until.IsZero() {
			out.Seconds = seconds(max(a.Until.Sub(a.At), 0))
		}
		r.Annotations = append(r.Annotations, out)
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("cannot read the annotations in %s: %w", path, bare(err))
	}
	slices.SortStableFunc(r.Annotations, func(a, b Annotation) int { return cmp.Compare(a.At, b.At) })
	r.blame()
	return nil
}

// before is how long before an annotation a pause may have begun that came of it:
// a shard's last receipt came earlier than what stopped it.
const before = 0.25

// blame gives each annotation the longest pause and the longest wait that it may
// have caused: what began with it or after it, before the next one.
func (r *Report) blame() {
	for i := range r.Annotations {
		a := &r.Annotations[i]
		end := a.At + a.Seconds
		if i+1 < len(r.Annotations) {
			end = max(end, r.Annotations[i+1].At-before)
		} else {
			end = r.Timeline.end()
		}
		for _, p := range r.Pauses.Longest {
			if p.To() > a.At && p.From >= a.At-before && p.From < end {
				a.PauseSeconds = max(a.PauseSeconds, p.Seconds)
			}
		}
		a.WaitSeconds = r.Timeline.longestWait(a.At, end)
	}
}

// longestWait is that of the events due between two moments, by whole intervals:
// the one of the first moment counts, that of the last one only if it is the same.
func (t Timeline) longestWait(from, to float64) (longest float64) {
	for _, p := range t.Points {
		next := p.At + t.IntervalSeconds
		if next > from && (next <= to || p.At <= from) {
			longest = max(longest, p.ApplyMaxMS/1000)
		}
	}
	return longest
}
