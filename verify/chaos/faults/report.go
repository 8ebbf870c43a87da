package faults

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"
)

// note is a fault that has happened, as the producer reads it for its report.
type note struct {
	fault string
	place int       // in the file
	At    time.Time `json:"at"`
	Until time.Time `json:"until"`
	What  string    `json:"what"`
}

// notes is the file of the faults that have happened, a line each.
type notes struct {
	mu   sync.Mutex // guards what follows
	file *os.File
	all  []note
}

// byTime returns the notes in the order of the report.
func (n *notes) byTime() []note {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.SortedStableFunc(slices.Values(n.all), func(a, b note) int { return a.At.Compare(b.At) })
}

func newNotes(path string) (*notes, error) {
	f, err := os.Create(path)
	return &notes{file: f}, err
}

func (n *notes) add(what note) error {
	line, err := json.Marshal(what)
	if err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	what.place = len(n.all)
	n.all = append(n.all, what)
	_, err = n.file.Write(append(line, '\n'))
	return err
}

func (n *notes) close() error { return n.file.Close() }

// Report is the part of the producer's report.json that a chaos run reads.
type Report struct {
	Verdict     string   `json:"verdict"`
	Sending     float64  `json:"sending_seconds"`
	Violations  []string `json:"violations"`
	UnknownKeys uint64   `json:"unknown_keys"`
	Failed      uint64   `json:"failed"`
	LatencyMS   struct {
		Ack   struct{ Max float64 } `json:"ack"`
		Apply struct{ Max float64 } `json:"apply"`
	} `json:"latency_ms"`
	Pauses struct {
		Longest []struct {
			Seconds float64 `json:"seconds"`
		} `json:"longest"`
	} `json:"pauses"`
	Annotations []Annotation `json:"annotations"`
	Timeline    struct {
		IntervalSeconds float64 `json:"interval_seconds"`
		Points          []Point `json:"points"`
	} `json:"timeline"`
}

// Point is an interval of the load, with the longest wait of the events due in it.
type Point struct {
	At         float64 `json:"at"`
	ApplyMaxMS float64 `json:"apply_max_ms"`
}

// waitBefore is the longest wait of an event in the last interval that ended before at, in seconds.
func (r Report) waitBefore(at float64) (wait time.Duration) {
	for _, p := range r.Timeline.Points {
		if p.At+r.Timeline.IntervalSeconds <= at {
			wait = time.Duration(p.ApplyMaxMS * float64(time.Millisecond))
		}
	}
	return wait
}

// Annotation is a fault in the report, with the longest wait of an event that was due then.
type Annotation struct {
	At          float64 `json:"at"`
	What        string  `json:"what"`
	WaitSeconds float64 `json:"wait_seconds"`
}

const pass = "pass"

func readReport(path string) (Report, error) {
	var r Report
	text, err := os.ReadFile(path)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return r, fmt.Errorf("read %s: %w", path, err)
	}
	return r, nil
}

// longest prints the longest pause of a shard: nothing was applied though something was due. The producer reports pauses
// from 0.1 s on. A pause is not a latency: if an event's receipt is lost, its latency lasts until a replay sends another.
func longest(r Report) string {
	if r.LongestPause() == 0 {
		return "under 0.1 s"
	}
	return seconds(r.LongestPause())
}

// LongestPause is the longest pause of a shard, 0 if none was reported.
func (r Report) LongestPause() (longest time.Duration) {
	for _, p := range r.Pauses.Longest {
		longest = max(longest, time.Duration(p.Seconds*float64(time.Second)))
	}
	return longest
}
