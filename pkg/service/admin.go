package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"runtime"
	"sync"
	"time"

	"example.com/lockstep/pkg/lifecycle"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// checkTimeout bounds how long /readyz waits for all of its checks.
const checkTimeout = 2 * time.Second

// Admin answers operators over HTTP, on a port of its own:
//
//	/healthz      200 as long as the process answers at all
//	/readyz       200 if the service runs and every check passes, else 503; the body lists each check, and notes
//	/metrics      the registry, in Prometheus' format
//	/debug/pprof  Go's profiles, if Config.PProf says so
//
// It is a lifecycle.Part, and usually the first, so that it answers from the start to the end. It cuts off clients that are
// silent, slow or greedy: see limits.go.
type Admin struct {
	log      *slog.Logger
	pprof    bool
	listener net.Listener
	server   *http.Server
	registry *prometheus.Registry
	cancel   context.CancelFunc // ends the requests in progress
	failed   chan error

	once     *lifecycle.Once
	serving  sync.WaitGroup
	requests sync.WaitGroup

	mu     sync.Mutex // guards the following
	checks map[string]func(context.Context) error
	notes  map[string]func() string
	phase  phase
	closed bool // requests are refused
}

// NewAdmin listens on cfg.Admin (host:port; port 0 takes a free one). It answers once started.
func NewAdmin(cfg Config, log *slog.Logger) (*Admin, error) {
	listener, err := net.Listen("tcp", cfg.Admin)
	if err != nil {
		return nil, fmt.Errorf("cannot listen at --admin=%s: %w", cfg.Admin, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	a := &Admin{
		log:      log,
		pprof:    cfg.PProf,
		listener: newFewConns(listener, maxAdminConns),
		registry: prometheus.NewRegistry(),
		cancel:   cancel,
		failed:   make(chan error, 1),
		checks:   map[string]func(context.Context) error{},
		notes:    map[string]func() string{},
		phase:    running,
	}
	a.once = lifecycle.NewOnce("admin endpoint", a.start, a.stop)
	a.registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	a.server = limitedServer(a.routes())
	a.server.BaseContext = func(net.Listener) context.Context { return ctx }
	return a, nil
}

// Addr returns the bound address, host:port.
func (a *Admin) Addr() string { return a.listener.Addr().String() }

// Registry is where the service's parts register their metrics. It begins with those
// of the Go runtime and the process.
func (a *Admin) Registry() *prometheus.Registry { return a.registry }

// Ready adds a check to /readyz, or replaces the one of that name. Checks may run side
// by side and must heed their context, which ends after 2 s.
func (a *Admin) Ready(name string, check func(context.Context) error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.checks[name] = check
}

// Note adds a note to the body of /readyz, or replaces the note of that name: something that an operator should know and that
// does not make the service unready. An empty note is left out. Notes may be made side by side and must not wait.
func (a *Admin) Note(name string, note func() string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.notes[name] = note
}

// Start begins to answer.
func (a *Admin) Start(ctx context.Context) error { return a.once.Start(ctx) }

func (a *Admin) start(context.Context) error {
	if a.pprof {
		runtime.SetMutexProfileFraction(mutexProfileFraction)
	}
	a.serving.Go(func() {
		if err := a.server.Serve(a.listener); !errors.Is(err, http.ErrServerClosed) {
			a.failed <- fmt.Errorf("admin endpoint: %w", err)
		}
	})
	a.log.Info("admin endpoint listens", "address", a.Addr())
	return nil
}

// Failed receives an error if the endpoint stops answering by itself.
func (a *Admin) Failed() <-chan error { return a.failed }

// Stop cancels the requests in progress, waits for them until ctx ends, and frees the port.
func (a *Admin) Stop(ctx context.Context) error { return a.once.Stop(ctx) }

func (a *Admin) stop(ctx context.Context) error {
	a.cancel()
	err := a.server.Shutdown(ctx)
	if err != nil {
		_ = a.server.Close()
	}
	_ = a.listener.Close() // the server closes it only if it was started
	a.serving.Wait()
	a.mu.Lock()
	a.closed = true
	a.mu.Unlock()
	a.requests.Wait() // a closed server does not wait for them
	if err != nil {
		return fmt.Errorf("admin endpoint: %w", err)
	}
	return nil
}

// counted counts requests, so that Stop can wait for all.
func (a *Admin) counted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		closed := a.closed
		if !closed {
			a.requests.Add(1)
		}
		a.mu.Unlock()
		if closed {
			http.Error(w, "stopped", http.StatusServiceUnavailable)
			return
		}
		defer a.requests.Done()
		next.ServeHTTP(w, r)
	})
}

func (a *Admin) enter(p phase) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.phase = p
}

func (a *Admin) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("ok\n"))
	})
	mux.HandleFunc("GET /readyz", a.readyz)
	mux.Handle("GET /metrics", promhttp.HandlerFor(a.registry, promhttp.HandlerOpts{MaxRequestsInFlight: maxScrapes}))
	if a.pprof {
		profiles(mux)
	}
	return a.counted(mux)
}

// Readiness is the body of /readyz.
type Readiness struct {
	Ready bool `json:"ready"`
	// Checks holds "ok" or the error, by the check's name. "service" is the service itself: "ok", "starting" or "stopping".
	Checks map[string]string `json:"checks"`
	// Notes holds what an operator should know though the service is ready, by the note's name.
	Notes map[string]string `json:"notes,omitempty"`
}

func (a *Admin) readyz(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), checkTimeout)
	defer cancel()
	readiness := a.readiness(ctx)
	w.Header().Set("Content-Type", "application/json")
	if !readiness.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(readiness)
}

// readiness runs all checks side by side.
func (a *Admin) readiness(ctx context.Context) Readiness {
	type result struct{ name, text string }
	results := make(chan result)
	a.mu.Lock()
	total := len(a.checks)
	for name, check := range a.checks {
		go func() {
			text := "ok"
			if err := check(ctx); err != nil {
				text = err.Error()
			}
			results <- result{name, text}
		}()
	}
	notes := maps.Clone(a.notes)
	out := Readiness{Ready: a.phase == running, Checks: map[string]string{"service": string(a.phase)}, Notes: make(map[string]string)}
	a.mu.Unlock()
	for name, note := range notes {
		if text := note(); text != "" {
			out.Notes[name] = text
		}
	}
	for range total {
		r := <-results
		out.Checks[r.name] = r.text
		out.Ready = out.Ready && r.text == "ok"
	}
	return out
}
