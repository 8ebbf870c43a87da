package fleet

import (
	"encoding/gob"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"

	"example.com/lockstep/pkg/load/internal/measure"
	"example.com/lockstep/pkg/load/internal/progress"
)

// Part does one part of a load: it reads its task and, once prepare is done with
// it, when to start; then it calls what prepare returned, and tells what became
// of it. abort is called when the parent is gone. An error has been told.
func Part(in io.Reader, out io.Writer, abort func(), prepare func(Task, progress.View) (func(at time.Time) (*measure.Run, error), error)) error {
	words := &words{out: gob.NewEncoder(out)}
	r, err := do(json.NewDecoder(in), words, abort, prepare)
	if err != nil {
		words.tell(message{Error: err.Error()})
		return err
	}
	words.tell(message{Run: r})
	return nil
}

func do(in *json.Decoder, words *words, abort func(), prepare func(Task, progress.View) (func(at time.Time) (*measure.Run, error), error)) (*measure.Run, error) {
	var task Task
	if err := in.Decode(&task); err != nil {
		return nil, fmt.Errorf("read the task: %w", err)
	}
	run, err := prepare(task, words)
	if err != nil {
		return nil, err
	}
	words.tell(message{Ready: true})
	var begin start
	if err := in.Decode(&begin); err != nil {
		return nil, fmt.Errorf("read when to start: %w", err)
	}
	go func() { // ends with the process: nothing else ends a read
		var nothing start
		_ = in.Decode(&nothing)
		abort()
	}()
	return run(begin.At)
}

// words is what a part tells its parent: a view, for one.
type words struct {
	mu  sync.Mutex // guards out
	out *gob.Encoder
}

func (w *words) tell(m message) {
	w.mu.Lock()
	defer w.mu.Unlock()
	_ = w.out.Encode(m) // a parent that is gone is noticed by the input's end
}

func (w *words) Say(line string)          { w.tell(message{Said: line}) }
func (w *words) Show(s progress.Snapshot) { w.tell(message{Shown: &s}) }
func (w *words) Every() time.Duration     { return 200 * time.Millisecond }
func (w *words) Done()                    {}
