// Package api is an HTTP front of an app, for clients that cannot speak NATS: they send events and read states.
//
//   - A request is one plain event: a router stores it before the front answers. Nothing waits in the front.
//   - With the header Idempotency-Key an event that is sent again within two minutes is stored once (JetStream's window).
//   - The order of a key's events is that of the answers: a client that wants its events in order sends one at a time.
//
// openapi.json says the same to machines; the front serves it.
package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"example.com/lockstep/pkg/appname"
	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/lifecycle"
	"example.com/lockstep/pkg/query"
	"example.com/lockstep/pkg/service"
)

// MaxMaxBody is the largest Config.MaxBody in bytes: an event's limit, less its headers.
const MaxMaxBody = frame.MaxEventBytes - 4<<10

// Limits for clients that are slow, idle or many.
const (
	maxConns      = 1024     // further connections are closed at once
	maxHeader     = 16 << 10 // bytes; a key takes three for each of its own at most
	headerTimeout = 5 * time.Second
	idleTimeout   = time.Minute // between a connection's requests
	writeTimeout  = 5 * time.Second
	bodyTimeout   = 10 * time.Second // for a request with its body
)

// Config says what a Front serves.
type Config struct {
	App         string
	Listen      string        // host:port; port 0 takes a free one
	MaxBody     int64         // bytes of an event's payload, from 1 to MaxMaxBody
	MaxRequests int           // that are served at a time, at least 1; a further one gets 503
	Timeout     time.Duration // for a router's or a worker's answer, above 0
	Log         *slog.Logger
	Metrics     prometheus.Registerer

	bodyTimeout time.Duration // for tests
}

// validate returns an error for a value that cannot be.
func (c *Config) validate() error {
	switch {
	case c.MaxBody < 1 || c.MaxBody > MaxMaxBody:
		return fmt.Errorf("a body of at most %d bytes: want from 1 to %d", c.MaxBody, MaxMaxBody)
	case c.MaxRequests < 1:
		return fmt.Errorf("%d requests at a time: want at least 1", c.MaxRequests)
	case c.Timeout <= 0:
		return fmt.Errorf("a time-out of %s: want more than 0", c.Timeout)
	}
	return appname.Check(c.App)
}

// Front answers HTTP requests. It is a lifecycle.Part: its Stop lets the requests at hand end.
type Front struct {
	cfg      Config
	nc       *nats.Conn
	states   *query.Client
	listener net.Listener
	server   *http.Server
	places   chan struct{} // holds one for each request that is served
	failed   chan error

	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec

	*lifecycle.Once
	serving sync.WaitGroup
}

// New listens at cfg.Listen. The front answers once it is started.
func New(nc *nats.Conn, cfg Config) (*Front, error) {
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("the HTTP front: %w", err)
	}
	if cfg.bodyTimeout == 0 {
		cfg.bodyTimeout = bodyTimeout
	}
	listener, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("cannot listen at --listen=%s: %w", cfg.Listen, err)
	}
	metrics, namespace := promauto.With(cfg.Metrics), strings.ReplaceAll(cfg.App, "-", "_")
	f := &Front{
		cfg:      cfg,
		nc:       nc,
		states:   query.NewClient(nc, cfg.App),
		listener: service.LimitConns(listener, maxConns),
		places:   make(chan struct{}, cfg.MaxRequests),
		failed:   make(chan error, 1),
		requests: metrics.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Subsystem: "api", Name: "requests_total",
			Help: "Requests answered, by route and status."}, []string{"route", "status"}),
		seconds: metrics.NewHistogramVec(prometheus.HistogramOpts{Namespace: namespace, Subsystem: "api", Name: "request_seconds",
			Help: "Time from a request's header until its answer.", Buckets: prometheus.ExponentialBuckets(0.0005, 2, 15)}, []string{"route"}),
	}
	f.server = &http.Server{
		Handler:           http.HandlerFunc(f.serve),
		ReadHeaderTimeout: min(headerTimeout, cfg.bodyTimeout),
		ReadTimeout:       cfg.bodyTimeout,
		WriteTimeout:      cfg.bodyTimeout + cfg.Timeout + writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(cfg.Log.Handler(), slog.LevelDebug),
	}
	f.Once = lifecycle.NewOnce("HTTP front", f.start, f.stop)
	return f, nil
}

// Addr returns the bound address, host:port.
func (f *Front) Addr() string { return f.listener.Addr().String() }

// Failed receives an error if the front stops answering by itself.
func (f *Front) Failed() <-chan error { return f.failed }

func (f *Front) start(context.Context) error {
	f.serving.Go(func() {
		if err := f.server.Serve(f.listener); !errors.Is(err, http.ErrServerClosed) {
			f.failed <- fmt.Errorf("HTTP front: %w", err)
		}
	})
	f.cfg.Log.Info("HTTP front listens", "address", f.Addr())
	return nil
}

func (f *Front) stop(ctx context.Context) error {
	err := f.server.Shutdown(ctx)
	if err != nil {
		_ = f.server.Close()
	}
	_ = f.listener.Close() // the server closes it only if it was started
	f.serving.Wait()
	for range f.cfg.MaxRequests { // a closed server does not wait for its requests
		f.places <- struct{}{}
	}
	if err != nil {
		return fmt.Errorf("HTTP front: %w", err)
	}
	return nil
}

// serve answers one request.
func (f *Front) serve(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	name, a := "none", later(fmt.Errorf("%d requests are being served: send again later", f.cfg.MaxRequests))
	select {
	case f.places <- struct{}{}:
		defer func() { <-f.places }()
		name, a = f.answer(w, r)
	default:
	}
	a.write(w)
	f.requests.WithLabelValues(name, strconv.Itoa(a.status)).Inc()
	f.seconds.WithLabelValues(name).Observe(time.Since(began).Seconds())
}

// answer returns the answer to a request, and the name of its operation.
func (f *Front) answer(w http.ResponseWriter, r *http.Request) (name string, a answer) {
	path := r.URL.EscapedPath()
	var methods []string
	for _, o := range operations {
		key, ok := o.match(path)
		switch {
		case !ok:
			continue
		case r.Method != o.method && (r.Method != http.MethodHead || o.method != http.MethodGet):
			methods = append(methods, o.method)
			continue
		}
		r.Body = http.MaxBytesReader(w, r.Body, f.cfg.MaxBody)
		ctx, cancel := context.WithTimeout(r.Context(), f.cfg.bodyTimeout+f.cfg.Timeout)
		defer cancel()
		return o.name(), o.answer(f, r.WithContext(ctx), key)
	}
	if len(methods) > 0 {
		a := refusal(http.StatusMethodNotAllowed, fmt.Errorf("%s takes %s", r.URL.Path, strings.Join(methods, ", ")))
		a.header = http.Header{"Allow": {strings.Join(methods, ", ")}}
		return "none", a
	}
	return "none", refusal(http.StatusNotFound, fmt.Errorf("there is nothing at %s: see %s", r.URL.Path, documentPath))
}
