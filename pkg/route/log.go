package route

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// storeTimeout is how long the log may take to confirm a message. Publishers send again long before.
const storeTimeout = 5 * time.Second

var (
	errNoConfirmation = errors.New("the log did not confirm in time")
	errNoStream       = errors.New("no stream takes this subject, or JetStream is not available")
	errNotJetStream   = errors.New("publish was acknowledged by something other than JetStream: does another service listen on this subject?")
	errCut            = errors.New("the connection to the log broke before it confirmed")
	errOvertaken      = errors.New("the log confirmed a later message and not this one")
	errStopped        = errors.New("router is stopping")
)

// logError is JetStream's refusal.
type logError struct {
	Code        int    `json:"code"`
	ErrCode     int    `json:"err_code"`
	Description string `json:"description"`
}

func (e *logError) Error() string {
	return fmt.Sprintf("JetStream refused: %s (%d)", e.Description, e.ErrCode)
}

// full tells whether the stream has reached its own limit or the server's.
func (e *logError) full() bool {
	return strings.Contains(e.Description, "maximum") || strings.Contains(e.Description, "insufficient") || strings.Contains(e.Description, "exceeded")
}

// logWriter stores messages in JetStream and reports when they are stored.
type logWriter struct {
	nc    *nats.Conn
	inbox string
	sub   *nats.Subscription
	// status receives when the connection breaks, after which nothing is published, and when the next one is up.
	status chan nats.Status

	mu      sync.Mutex // guards what follows
	last    uint64
	waiting map[uint64]pending
	newest  map[string]uint64    // by lane: the newest confirmed message
	heard   map[string]time.Time // by lane: the time of the last confirmation
	closed  bool

	quit    chan struct{}
	done    sync.WaitGroup
	closing sync.Once
}

// pending is a message that the log has not confirmed yet.
type pending struct {
	fn   func(confirmation []byte, err error) // called once, with JetStream's answer as it is; must not block
	at   time.Time
	lane string // the prefix of the stream's subjects
}

// newLogWriter makes a logWriter and starts it. close ends it.
func newLogWriter(nc *nats.Conn, leaderOf func(ctx context.Context, lane string) (string, error), log *slog.Logger) (*logWriter, error) {
	l := &logWriter{
		nc: nc, inbox: nc.NewInbox(), status: nc.StatusChanged(nats.RECONNECTING, nats.CONNECTED), quit: make(chan struct{}),
		waiting: make(map[uint64]pending), newest: make(map[string]uint64), heard: make(map[string]time.Time),
	}
	sub, err := nc.Subscribe(l.inbox+".*", l.confirmed)
	if err != nil {
		nc.RemoveStatusListener(l.status)
		return nil, fmt.Errorf("listen for the log's confirmations: %w", err)
	}
	_ = sub.SetPendingLimits(-1, -1) // bounded by the messages in flight
	l.done.Add(3)
	sub.SetClosedHandler(func(string) { l.done.Done() })
	l.sub = sub
	go l.sweep()
	go l.follow(leaderOf, log)
	return l, nil
}

// store publishes a message and calls fn once, when the log has confirmed it or it has failed.
func (l *logWriter) store(m *nats.Msg, fn func([]byte, error)) {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		fn(nil, errStopped)
		return
	}
	l.last++
	id := l.last
	l.waiting[id] = pending{fn: fn, at: time.Now(), lane: m.Subject[:strings.LastIndexByte(m.Subject, '.')+1]}
	l.mu.Unlock()
	m.Reply = l.inbox + "." + strconv.FormatUint(id, 36)
	if err := l.nc.PublishMsg(m); err != nil {
		l.end(id, nil, fmt.Errorf("publish to the log: %w", err))
	}
}

func (l *logWriter) end(id uint64, confirmation []byte, err error) {
	l.mu.Lock()
	s, ok := l.waiting[id]
	delete(l.waiting, id)
	l.mu.Unlock()
	if ok {
		s.fn(confirmation, err)
	}
}

func (l *logWriter) confirmed(m *nats.Msg) {
	id, err := strconv.ParseUint(m.Subject[len(l.inbox)+1:], 36, 64)
	if err != nil {
		return
	}
	if m.Header.Get("Status") == "503" {
		l.end(id, nil, errNoStream)
		return
	}
	if isConfirmation(m.Data) {
		l.pass(id)
		l.end(id, m.Data, nil)
		return
	}
	var ack struct {
		Stream    string    `json:"stream"`
		Seq       uint64    `json:"seq"`
		Duplicate bool      `json:"duplicate"`
		Error     *logError `json:"error"`
	}
	switch err := json.Unmarshal(m.Data, &ack); {
	case err != nil:
		l.end(id, nil, fmt.Errorf("read the log's confirmation: %w", err))
	case ack.Error != nil:
		l.end(id, m.Data, ack.Error)
	case ack.Stream == "" || ack.Seq == 0:
		l.end(id, nil, errNotJetStream)
	default:
		if !ack.Duplicate {
			l.pass(id)
		}
		l.end(id, m.Data, nil)
	}
}

// isConfirmation tells whether data is what JetStream answers to nearly every message: a stream's name and a sequence, and nothing
// else. To read such an answer as any JSON takes an eighth of a router's time. Any other answer is read so.
func isConfirmation(data []byte) bool {
	rest, ok := bytes.CutPrefix(data, []byte(`{"stream":"`))
	if !ok {
		return false
	}
	name, rest, ok := bytes.Cut(rest, []byte(`","seq":`))
	seq, ended := bytes.CutSuffix(rest, []byte("}"))
	if !ok || !ended || len(name) == 0 || len(seq) == 0 || len(seq) > 19 || seq[0] == '0' {
		return false
	}
	for _, c := range name {
		if c <= ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	for _, c := range seq {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// pass notes that a lane has confirmed a message in order.
func (l *logWriter) pass(id uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s, ok := l.waiting[id]; ok {
		l.newest[s.lane], l.heard[s.lane] = max(l.newest[s.lane], id), time.Now()
	}
}

// sweep fails messages that were not confirmed in time, and those in flight on a connection that broke: their confirmation may
// never arrive, and their shards' later events wait for them. It does so when there is a connection again over which to answer
// the publishers. If a message was stored after all, its events are stored twice and applied once.
func (l *logWriter) sweep() {
	defer l.done.Done()
	defer l.nc.RemoveStatusListener(l.status)
	tick := time.NewTicker(storeTimeout / 10)
	defer tick.Stop()
	var broke time.Time
	newest := map[string]uint64{}
	for {
		select {
		case status := <-l.status:
			if status == nats.RECONNECTING {
				broke = time.Now()
			} else {
				l.expire(broke, errCut)
			}
		case now := <-tick.C:
			l.expire(now.Add(-storeTimeout), errNoConfirmation)
			newest = l.overtaken(newest)
		case <-l.quit:
			return
		}
	}
}

func (l *logWriter) expire(before time.Time, err error) {
	l.failWhere(func(_ uint64, s pending) bool { return s.at.Before(before) }, err)
}

// overtaken fails messages older than the newest that their lane had confirmed a tick ago, and returns the newest as of now. A
// stream confirms messages in the order of their arrival, except duplicates; one that it skipped was lost with an earlier
// leader.
func (l *logWriter) overtaken(newest map[string]uint64) map[string]uint64 {
	l.failWhere(func(id uint64, s pending) bool { return id < newest[s.lane] }, errOvertaken)
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.newest)
}

func (l *logWriter) failWhere(is func(uint64, pending) bool, err error) {
	l.mu.Lock()
	var late []uint64
	for id, s := range l.waiting {
		if is(id, s) {
			late = append(late, id)
		}
	}
	l.mu.Unlock()
	slices.Sort(late)
	for _, id := range late {
		l.end(id, nil, err)
	}
}

// close fails all messages in flight. When any call of close returns, the writer has ended.
func (l *logWriter) close() {
	l.closing.Do(func() {
		l.mu.Lock()
		l.closed = true
		l.mu.Unlock()
		close(l.quit)
		_ = l.sub.Unsubscribe() // fails only if the connection is closed, which ends it too
		l.done.Wait()
		l.expire(time.Now().Add(time.Hour), errStopped)
	})
}
