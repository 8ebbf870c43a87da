package dev

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

// quiet is how long nothing must change until a change counts as complete: editors and git write several files, one after the other.
const quiet = 200 * time.Millisecond

// watcher gathers the paths that change below a folder.
type watcher struct {
	notify  *fsnotify.Watcher
	matters func(path string) bool
	ended   chan struct{} // closed when gather has returned

	mu      sync.Mutex // guards what follows
	changed map[string]bool
	some    chan struct{} // closed while changed is not empty
	last    time.Time     // of the last change
	failed  error
}

func newWatcher(root string, matters func(path string) bool) (*watcher, error) {
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	w := &watcher{notify: notify, matters: matters, ended: make(chan struct{}), changed: map[string]bool{}, some: make(chan struct{})}
	if err := w.add(root, nil); err != nil {
		return nil, errors.Join(err, notify.Close())
	}
	go w.gather()
	return w, nil
}

func (w *watcher) close() {
	_ = w.notify.Close() // returns nil always
	<-w.ended
}

// add watches a folder and all below it, and calls found for each file. What begins with a dot is hidden and no source.
func (w *watcher) add(folder string, found func(path string)) error {
	return filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil // removed meanwhile
		case err != nil:
			return err
		case path != folder && strings.HasPrefix(entry.Name(), ".") && entry.IsDir():
			return filepath.SkipDir
		case entry.IsDir():
			if err := w.notify.Add(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		case found != nil:
			found(path)
		}
		return nil
	})
}

// gather runs until the watcher is closed.
func (w *watcher) gather() {
	defer close(w.ended)
	for {
		select {
		case event, open := <-w.notify.Events:
			if !open {
				return
			}
			w.saw(event)
		case err, open := <-w.notify.Errors:
			if !open {
				return
			}
			w.fail(err)
		}
	}
}

func (w *watcher) saw(event fsnotify.Event) {
	if event.Op == fsnotify.Chmod || strings.HasPrefix(filepath.Base(event.Name), ".") {
		return
	}
	if info, err := os.Lstat(event.Name); err == nil && info.IsDir() {
		if event.Has(fsnotify.Create) {
			if err := w.add(event.Name, w.note); err != nil {
				w.fail(err)
			}
		}
		return
	}
	w.note(event.Name)
}

func (w *watcher) note(path string) {
	if !w.matters(path) {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last = time.Now()
	w.changed[path] = true
	w.wake()
}

func (w *watcher) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failed = err
	w.wake()
}

// wake closes some, if it is open. The caller holds the mutex.
func (w *watcher) wake() {
	select {
	case <-w.some:
	default:
		close(w.some)
	}
}

// fresh is closed when something changes that next has not returned yet.
func (w *watcher) fresh() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.some
}

// next waits for changes, until no more come, and returns their paths, sorted.
func (w *watcher) next(ctx context.Context) (paths []string, err error) {
	select {
	case <-w.fresh():
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	for {
		w.mu.Lock()
		left := time.Until(w.last.Add(quiet))
		if left <= 0 || w.failed != nil {
			defer w.mu.Unlock()
			paths, err = slices.Sorted(maps.Keys(w.changed)), w.failed
			w.changed, w.some, w.failed = map[string]bool{}, make(chan struct{}), nil
			return paths, err
		}
		w.mu.Unlock()
		select {
		case <-time.After(left):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}
