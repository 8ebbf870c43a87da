package stack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

const (
	usualPort = 4222
	natsStart = 30 * time.Second // recovering a long log takes time
	// maxStore is larger than any disk: the streams' own limits bound the log.
	maxStore = 1 << 40
)

// natsPart is the stack's NATS server with JetStream.
type natsPart interface {
	url() string
	stop(ctx context.Context) error
}

// natsServer is such a server inside this process.
type natsServer struct {
	server *server.Server
	log    *natsLog
	port   int
}

// startNATS starts the server inside this process.
func startNATS(port int, storeDir, logFile string) (*natsServer, error) {
	log, err := os.OpenFile(logFile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	s, err := newNATS(natsOptions(port, storeDir), &natsLog{file: log})
	if err != nil {
		log.Close()
	}
	return s, err
}

func natsOptions(port int, storeDir string) *server.Options {
	return &server.Options{
		ServerName:        "local",
		Host:              "127.0.0.1",
		Port:              port,
		NoSigs:            true,
		JetStream:         true,
		StoreDir:          storeDir,
		JetStreamMaxStore: maxStore,
	}
}

func newNATS(options *server.Options, log *natsLog) (*natsServer, error) {
	s, err := server.NewServer(options)
	if err != nil {
		return nil, fmt.Errorf("configure NATS: %w", err)
	}
	s.SetLoggerV2(log, false, false, false)
	s.Start()
	if !s.ReadyForConnections(natsStart) {
		s.Shutdown()
		s.WaitForShutdown()
		return nil, fmt.Errorf("NATS does not start: %s (log: %s)", log.worst(), log.file.Name())
	}
	return &natsServer{server: s, log: log, port: s.Addr().(*net.TCPAddr).Port}, nil
}

// natsPort returns the port to listen on; server.RANDOM_PORT means any.
func natsPort(wanted int) (int, error) {
	switch wanted {
	case PortAny:
		return server.RANDOM_PORT, nil
	case PortUsual:
		if !isFree(localAddress(usualPort)) {
			return server.RANDOM_PORT, nil
		}
		return usualPort, nil
	}
	l, err := net.Listen("tcp", localAddress(wanted))
	if errors.Is(err, syscall.EADDRINUSE) {
		return 0, fmt.Errorf("port %d for NATS is taken: choose another port or leave --nats-port out", wanted)
	}
	if err != nil {
		return 0, fmt.Errorf("cannot listen on port %d for NATS: %w", wanted, err)
	}
	return wanted, l.Close()
}

func localAddress(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

func (n *natsServer) url() string { return "nats://" + localAddress(n.port) }

func (n *natsServer) stop(context.Context) error {
	n.server.Shutdown()
	n.server.WaitForShutdown()
	return n.log.Close()
}

// natsLog writes the server's log to a file. The library's own file logger ends the process on a fatal error.
type natsLog struct {
	mu    sync.Mutex // guards file and error
	file  *os.File
	error string // the last error
}

func (l *natsLog) write(level, format string, args []any) {
	line := fmt.Sprintf(format, args...)
	l.mu.Lock()
	defer l.mu.Unlock()
	if level == "ERROR" || level == "FATAL" {
		l.error = line
	}
	fmt.Fprintf(l.file, "%s %-5s %s\n", time.Now().Format("2006-01-02T15:04:05.000Z07:00"), level, line)
}

func (l *natsLog) worst() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.error == "" {
		return fmt.Sprintf("no answer within %s", natsStart)
	}
	return l.error
}

func (l *natsLog) Noticef(format string, args ...any) { l.write("INFO", format, args) }
func (l *natsLog) Warnf(format string, args ...any)   { l.write("WARN", format, args) }
func (l *natsLog) Errorf(format string, args ...any)  { l.write("ERROR", format, args) }
func (l *natsLog) Fatalf(format string, args ...any)  { l.write("FATAL", format, args) }
func (l *natsLog) Debugf(string, ...any)              {}
func (l *natsLog) Tracef(string, ...any)              {}

// Close closes the file; later lines are lost.
func (l *natsLog) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.file.Close()
}
