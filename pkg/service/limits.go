package service

import (
	"net"
	"net/http"
	"sync"
	"time"
)

// MaxProfile is how long a profile or a trace of /debug/pprof may last; a longer one is refused.
const MaxProfile = time.Minute

// Limits of the admin endpoint, for clients that are slow, idle, many or greedy.
const (
	maxAdminConns = 256     // further connections are closed at once
	maxScrapes    = 8       // requests for /metrics at a time; a further one gets 503
	maxBody       = 1 << 20 // bytes of a request's body; only /debug/pprof/symbol reads one
	maxHeader     = 64 << 10

	headerTimeout = 5 * time.Second // for a request's header
	bodyTimeout   = 10 * time.Second
	idleTimeout   = 30 * time.Second // between a connection's requests
	// answerTimeout is for an answer. For a profile it begins when the profile is complete.
	answerTimeout = 30 * time.Second
)

// limitedServer serves requests within the limits.
func limitedServer(handler http.Handler) *http.Server {
	return &http.Server{
		Handler:           limitBody(handler),
		ReadHeaderTimeout: headerTimeout,
		WriteTimeout:      answerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
	}
}

// limitBody bounds a request's body in bytes and time. http.Server's ReadTimeout would also end a request without a body, in
// the middle of its profile.
func limitBody(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength > maxBody {
			w.Header().Set("Connection", "close")
			http.Error(w, "the body is too large", http.StatusRequestEntityTooLarge)
			return
		}
		if r.ContentLength != 0 {
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout))
			r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		}
		next.ServeHTTP(w, r)
	})
}

// fewConns is a listener that closes connections above a number at once. So a client that opens many takes neither memory nor
// file descriptors from the service.
type fewConns struct {
	net.Listener
	places chan struct{} // holds one for each open connection
}

func newFewConns(l net.Listener, most int) *fewConns {
	return &fewConns{Listener: l, places: make(chan struct{}, most)}
}

// Accept returns the next connection that finds a place.
func (f *fewConns) Accept() (net.Conn, error) {
	for {
		conn, err := f.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case f.places <- struct{}{}:
			return &placedConn{Conn: conn, leave: sync.OnceFunc(func() { <-f.places })}, nil
		default:
			_ = conn.Close()
		}
	}
}

// placedConn gives its place back when it is closed.
type placedConn struct {
	net.Conn
	leave func()
}

func (c *placedConn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}

// LimitConns returns a listener that has at most so many connections open, and closes further ones at once.
func LimitConns(l net.Listener, most int) net.Listener { return newFewConns(l, most) }
