package chaos

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
	"text/tabwriter"
	"time"
)

// note is a fault as the producer's report takes it.
type note struct {
	At    time.Time `json:"at"`
	Until time.Time `json:"until"`
	What  string    `json:"what"`
}

// notes is the file of what happened, a line each.
type notes struct {
	mu   sync.Mutex // guards file
	file *os.File
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
	_, err = n.file.Write(append(line, '\n'))
	return err
}

func (n *notes) close() error { return n.file.Close() }

// Report is what a chaos run reads of the producer's report.json.
type Report struct {
	Verdict     string   `json:"verdict"`
	Violations  []string `json:"violations"`
	UnknownKeys uint64   `json:"unknown_keys"`
	Failed      uint64   `json:"failed"`
	LatencyMS   struct {
		Apply struct {
			Max float64 `json:"max"`
		} `json:"apply"`
	} `json:"latency_ms"`
	Annotations []Annotation `json:"annotations"`
}

// Annotation is a fault and the pause it caused.
type Annotation struct {
	At           float64 `json:"at"`
	Seconds      float64 `json:"seconds"`
	What         string  `json:"what"`
	PauseSeconds float64 `json:"pause_seconds"`
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

// print lays out which fault caused which pause, and the verdict.
func (r Report) print(out io.Writer) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "\nat\tlasted\tlongest pause of a shard\t  fault")
	for _, a := range r.Annotations {
		fmt.Fprintf(table, "%.2f s\t%.2f s\t%s\t  %s\n", a.At, a.Seconds, pause(a.PauseSeconds), a.What)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "\nverdict: %s; the longest wait of an event was %.2f s\n", r.Verdict, r.LatencyMS.Apply.Max/1000)
	return err
}

// pause writes a pause; the producer knows those from 0.1 s.
func pause(seconds float64) string {
	if seconds == 0 {
		return "under 0.1 s"
	}
	return fmt.Sprintf("%.2f s", seconds)
}
