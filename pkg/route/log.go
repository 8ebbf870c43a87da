package route

import (
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

// full tells whether the stream has reached a limit of its own or of the server.
func (e *logError) full() bool {
	return strings.Contains(e.Description, "maximum") || strings.Contains(e.Description, "insufficient") || strings.Contains(e.Description, "exceeded")
}

// logWriter stores messages in JetStream and tells when they are stored.
type logWriter struct {
	nc    *nats.Conn
	inbox string
	sub   *nats.Subscription
	// status tells of the connection's end, from when on nothing is published, and of the next one.
	status chan nats.Status

	mu      sync.Mutex // guards what follows
	last    uint64
	waiting map[uint64]stored
	newest  map[string]uint64    // by lane: the newest that is confirmed
	heard   map[string]time.Time // by lane: when it has last confirmed something
	closed  bool

	quit    chan struct{}
	done    sync.WaitGroup
	closing sync.Once
}

// stored is called with the log's confirmation as it came, or an error. It must not block.
type stored struct {
	fn   func(confirmation []byte, err error)
	at   time.Time
	lane string // what the subjects of one stream begin with
}

// newLogWriter makes one that works already: it belongs to a Router, whose Start makes it and whose Stop closes it.
func newLogWriter(nc *nats.Conn, leaderOf func(ctx context.Context, lane string) (string, error), log *slog.Logger) (*logWriter, error) {
	l := &logWriter{
		nc: nc, inbox: nc.NewInbox(), waiting: make(map[uint64]stored), newest: make(map[string]uint64), heard: make(map[string]time.Time), quit: make(chan struct{}),
		status: nc.StatusChanged(nats.RECONNECTING, nats.CONNECTED),
	}
	sub, err := nc.Subscribe(l.inbox+".*", l.confirmed)
	if err != nil {
		nc.RemoveStatusListener(l.status)
		return nil, fmt.Errorf("listen for the log's confirmations: %w", err)
	}
	_ = sub.SetPendingLimits(-1, -1) // bounded by what waits
	l.done.Add(3)
	sub.SetClosedHandler(func(string) { l.done.Done() })
	l.sub = sub
	go l.sweep()
	go l.follow(leaderOf, log)
	return l, nil
}

// store publishes a message; fn is called once.
func (l *logWriter) store(m *nats.Msg, fn func([]byte, error)) {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		fn(nil, errStopped)
		return
	}
	l.last++
	id := l.last
	l.waiting[id] = stored{fn: fn, at: time.Now(), lane: m.Subject[:strings.LastIndexByte(m.Subject, '.')+1]}
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

// pass notes that a message's lane has confirmed it in its turn.
func (l *logWriter) pass(id uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s, ok := l.waiting[id]; ok {
		l.newest[s.lane], l.heard[s.lane] = max(l.newest[s.lane], id), time.Now()
	}
}

// sweep ends what was not confirmed in time, and what was under way on a connection that broke: its confirmation may never
// come, and whatever comes for its shard meanwhile waits behind it. That is done when there is a connection again to tell
// the publishers by. If it was stored after all, it is stored twice, and applied once.
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
	l.endThose(func(_ uint64, s stored) bool { return s.at.Before(before) }, err)
}

// overtaken ends what is older than the newest that a lane had confirmed a tick ago, and returns the newest as of now. A
// stream confirms in the order in which it takes, but for what it knows already (a duplicate): what it passed over went down
// with its leader before this one.
func (l *logWriter) overtaken(newest map[string]uint64) map[string]uint64 {
	l.endThose(func(id uint64, s stored) bool { return id < newest[s.lane] }, errOvertaken)
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.newest)
}

func (l *logWriter) endThose(is func(uint64, stored) bool, err error) {
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

// close ends what still waits with an error. It has ended when any call returns.
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
