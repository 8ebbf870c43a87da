package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"example.com/lockstep/deployments/local/process"
	"example.com/lockstep/deployments/local/stackdir"
	"example.com/lockstep/pkg/address"
	"example.com/lockstep/pkg/stackfile"
)

// Time limits for each step of an orderly stop. Processes that take longer are killed.
const (
	serviceStop = 12 * time.Second // the services give up by themselves after 10 s
	redisStop   = 10 * time.Second
	natsStop    = 10 * time.Second // of a NATS that is a process
)

// Stack is a local stack.
type Stack struct {
	cfg     Config // App is that of the first of apps
	apps    []App
	dir     *stackdir.Dir
	starter *process.Starter

	nats          natsPart
	redis         redisPart
	locks         []*redisServer
	routers       []*child
	workers       []*child
	apis          []*child
	probePatience time.Duration

	failed chan error // the reason why a start cannot succeed; holds one

	starting sync.Mutex      // held during Start, so that Stop finds every process that was started
	stopping context.Context // ended by the first Stop
	halt     context.CancelCauseFunc
	stopOnce sync.Once
	stopErr  error
	aborted  context.Context // ends when the context of a Stop ends
	abort    context.CancelFunc

	mu      sync.Mutex // guards what follows and the writing of stack.json
	ready   bool
	file    stackfile.File
	ends    map[string]int              // how often each child has ended
	crashes []string                    // of services: each says which one and how
	running map[string]*process.Process // the last one started of each name
}

var errStopped = errors.New("stopped")

// New checks the configuration and takes the directory, so that a second stack in it is an error at once.
func New(cfg Config) (*Stack, error) {
	cfg.setDefaults()
	apps, err := cfg.validate()
	if err != nil {
		return nil, err
	}
	cfg.App = apps[0].Name
	if cfg.ReadyTimeout == 0 {
		cfg.ReadyTimeout = readyTimeout + time.Duration(cfg.Shards*len(apps))*readyPerShard
	}
	dir, err := stackdir.Open(cfg.Dir)
	if err != nil {
		return nil, err
	}
	s := &Stack{
		cfg: cfg, apps: apps, dir: dir, starter: process.NewStarter(), probePatience: probePatience,
		failed: make(chan error, 1), ends: map[string]int{}, running: map[string]*process.Process{},
	}
	s.stopping, s.halt = context.WithCancelCause(context.Background())
	s.aborted, s.abort = context.WithCancel(context.Background())
	return s, nil
}

// Start starts everything and returns once an event of each app has been applied. Call Stop even if Start fails or ctx ends.
func (s *Stack) Start(ctx context.Context) error {
	s.starting.Lock()
	defer s.starting.Unlock()
	if s.stopping.Err() != nil {
		return errStopped
	}
	ctx, cancel := context.WithTimeoutCause(ctx, s.cfg.ReadyTimeout,
		fmt.Errorf("not ready after %s, see the logs in %s", s.cfg.ReadyTimeout, s.dir.Path(stackdir.LogsDir)))
	defer cancel()
	ctx, stopped := context.WithCancelCause(ctx)
	defer context.AfterFunc(s.stopping, func() { stopped(errStopped) })()
	if err := s.prepareDir(); err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{
		s.startRedis, s.startLocks, s.startNATS, s.startRouters, s.startWorkers, s.startAPIs, s.probe, s.announce,
	} {
		if err := step(ctx); err != nil {
			return orCause(ctx, err)
		}
	}
	return nil
}

// orCause replaces the error of a context that has ended by the cause of its end.
func orCause(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && errors.Is(err, ctx.Err()) {
		return cause
	}
	return err
}

// prepareDir empties the log directory: its files are about this run alone.
func (s *Stack) prepareDir() error {
	logs := s.dir.Path(stackdir.LogsDir)
	if err := os.RemoveAll(logs); err != nil {
		return err
	}
	return os.Mkdir(logs, 0o700)
}

func (s *Stack) startRedis(ctx context.Context) error {
	redis, err := s.chooseRedis()
	if err != nil {
		return err
	}
	s.redis = redis
	return redis.start(ctx)
}

func (s *Stack) startNATS(ctx context.Context) error {
	port, err := natsPort(s.cfg.NATSPort)
	if err != nil {
		return err
	}
	if s.cfg.NATSServers > 1 {
		return s.startNATSCluster(ctx)
	}
	if s.cfg.NATSProgram != "" {
		return s.startNATSProcess(ctx, port)
	}
	nats, err := startNATS(port, s.dir.Path(stackdir.NATSDir), s.dir.Path(stackdir.LogsDir, "nats.log"))
	if err != nil {
		return err
	}
	s.nats = nats
	if s.cfg.NATSPort == PortUsual && nats.port != usualPort {
		s.say("port %d is taken, NATS listens on %d", usualPort, nats.port)
	}
	return nil
}

func (s *Stack) startNATSProcess(ctx context.Context, port int) error {
	port, err := freeNATSPort(port)
	if err != nil {
		return err
	}
	n := &natsProcess{stack: s, name: stackfile.RoleNATS, port: port, storeDir: s.dir.Path(stackdir.NATSDir)}
	s.nats = n
	return n.start(ctx)
}

// announce writes stack.json for the first time.
func (s *Stack) announce(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.file.PID, s.file.NATS, s.file.Redis, s.file.App = os.Getpid(), s.nats.url(), address.Mask(s.redis.address()), s.cfg.App
	if err := s.dir.Publish(s.file); err != nil {
		return fmt.Errorf("announce the stack: %w", err)
	}
	s.ready = true
	return nil
}

// File returns the content of stack.json.
func (s *Stack) File() stackfile.File {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.file
	f.Processes = slices.Clone(f.Processes)
	return f
}

// RedisKind names the Redis in use, for people.
func (s *Stack) RedisKind() string { return s.redis.kind() }

func (s *Stack) say(format string, args ...any) { s.cfg.Say(fmt.Sprintf(format, args...)) }
