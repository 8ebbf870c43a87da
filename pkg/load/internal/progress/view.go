package progress

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// View shows a load. It is safe for concurrent use.
type View interface {
	// Say writes a line that stays.
	Say(line string)
	// Show shows the load as it is now.
	Show(s Snapshot)
	// Every is how often it wants to be shown.
	Every() time.Duration
	// Done takes away what does not stay. Show may follow.
	Done()
}

// New returns a bar if the file is a terminal, else plain lines.
func New(out io.Writer) View {
	if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return &bar{out: out}
	}
	return Lines(out)
}

// Lines returns a view that writes a plain line every second.
func Lines(out io.Writer) View { return &lines{out: out} }

type lines struct {
	mu     sync.Mutex // guards what follows
	out    io.Writer
	before Snapshot
}

func (l *lines) Every() time.Duration { return time.Second }

func (l *lines) Say(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintln(l.out, line)
}

func (l *lines) Show(s Snapshot) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.Elapsed < l.before.Elapsed { // another load
		l.before = Snapshot{}
	}
	fmt.Fprintln(l.out, s.line(l.before))
	l.before = s
}

func (l *lines) Done() {}

// barSteps is how finely the bar is drawn.
const barSteps = 1000

// bar is one line that is drawn anew.
type bar struct {
	mu     sync.Mutex // guards what follows
	out    io.Writer
	bar    *progressbar.ProgressBar // nil when there is nothing to show
	before []Snapshot               // of the last second
}

func (b *bar) Every() time.Duration { return 200 * time.Millisecond }

func (b *bar) Say(line string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.bar != nil {
		_ = b.bar.Clear()
	}
	fmt.Fprintln(b.out, line)
	if b.bar != nil {
		_ = b.bar.RenderBlank()
	}
}

func (b *bar) Show(s Snapshot) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.bar == nil {
		b.bar = progressbar.NewOptions(barSteps, progressbar.OptionSetWriter(b.out), progressbar.OptionSetWidth(10),
			progressbar.OptionSetPredictTime(false), progressbar.OptionSetElapsedTime(false), progressbar.OptionShowDescriptionAtLineEnd())
		b.before = nil
	}
	for len(b.before) > 1 && s.Elapsed-b.before[1].Elapsed >= time.Second {
		b.before = b.before[1:]
	}
	before := Snapshot{}
	if len(b.before) > 0 {
		before = b.before[0]
	}
	b.before = append(b.before, s)
	b.bar.Describe(s.short(before))
	_ = b.bar.Set(min(int(s.done()*barSteps), barSteps-1)) // the whole would end it
}

func (b *bar) Done() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.bar != nil {
		_ = b.bar.Clear()
		b.bar = nil
	}
}

// Writer returns a writer whose lines the view says.
func Writer(v View) io.Writer { return writer{v} }

type writer struct{ view View }

func (w writer) Write(b []byte) (int, error) {
	for line := range strings.Lines(string(b)) {
		w.view.Say(strings.TrimSuffix(line, "\n"))
	}
	return len(b), nil
}
