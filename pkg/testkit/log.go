package testkit

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
)

// Log keeps log lines as text. It may be read while lines are written. The zero value is ready.
type Log struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

// Logger returns a logger of all levels that writes to l.
func (l *Log) Logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// Write appends lines.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// String returns all lines.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// Count returns how many lines contain all of the texts.
func (l *Log) Count(texts ...string) (n int) {
lines:
	for line := range strings.Lines(l.String()) {
		for _, text := range texts {
			if !strings.Contains(line, text) {
				continue lines
			}
		}
		n++
	}
	return n
}
