package consume

import (
	"log/slog"
	"runtime"
	"slices"
	"sync"

	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/topology"
)

const (
	// maxReceipts bounds the receipts that wait to be sent, of 8 bytes each and some 100 for each session. Commits wait while
	// there are more, each with its own.
	maxReceipts = 64 << 10
	// receiptsAtOnce go into one message: some 10 bytes each, so that it stays small for any server.
	receiptsAtOnce = 16 << 10
	// receiptYields is how often the sender lets other goroutines run before it sends: commits that Redis answered in one
	// read end one after another, and without that each would cost a message of its own.
	receiptYields = 4
)

// receipts sends receipts: those of all shards that have come while the last ones were being sent go together.
type receipts struct {
	publish func(subject string, data []byte) error
	app     string
	log     *slog.Logger

	mu      sync.Mutex // guards what follows
	room    sync.Cond
	pending map[receiptTo][]uint64
	n       int

	kick     chan struct{}
	quit     chan struct{}
	done     chan struct{}
	stopping sync.Once
}

// startReceipts makes them and begins to send: there is nothing to check or to open before.
func startReceipts(publish func(string, []byte) error, app string, log *slog.Logger) *receipts {
	r := &receipts{
		publish: publish, app: app, log: log, pending: make(map[receiptTo][]uint64),
		kick: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{}),
	}
	r.room.L = &r.mu
	go r.run()
	return r
}

// add takes the receipts of a commit.
func (r *receipts) add(of map[receiptTo][]uint64) {
	if len(of) == 0 {
		return
	}
	r.mu.Lock()
	for r.n > maxReceipts {
		r.room.Wait()
	}
	for to, seqs := range of {
		r.pending[to] = append(r.pending[to], seqs...)
		r.n += len(seqs)
	}
	r.mu.Unlock()
	select {
	case r.kick <- struct{}{}:
	default:
	}
}

func (r *receipts) run() {
	defer close(r.done)
	for {
		select {
		case <-r.kick:
			for range receiptYields {
				runtime.Gosched()
			}
			r.send()
		case <-r.quit:
			r.send()
			return
		}
	}
}

func (r *receipts) send() {
	r.mu.Lock()
	pending := r.pending
	r.pending, r.n = make(map[receiptTo][]uint64), 0
	r.room.Broadcast()
	r.mu.Unlock()
	var buf []byte
	for to, seqs := range pending {
		for some := range slices.Chunk(seqs, receiptsAtOnce) {
			buf = frame.Receipt{Generation: to.generation, Seqs: some}.Append(buf[:0])
			if err := r.publish(topology.ReceiptSubject(r.app, to.publisher.String()), buf); err != nil {
				r.log.Debug("receipts not sent", "error", err)
			}
		}
	}
}

// stop sends the receipts that are left. None may be added any more. All are sent when any call returns.
func (r *receipts) stop() {
	r.stopping.Do(func() { close(r.quit) })
	<-r.done
}
