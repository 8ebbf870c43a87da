package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"example.com/lockstep/deployments/local/process"
	"example.com/lockstep/deployments/local/stackdir"
	"example.com/lockstep/pkg/address"
	"example.com/lockstep/pkg/service"
	"example.com/lockstep/pkg/stackfile"
)

// Time limits for each step of an orderly stop. Processes that take longer are killed.
const (
	serviceStop = 12 * time.Second // the services give up by themselves after 10 s
	redisStop   = 10 * time.Second
	natsStop    = 10 * time.Second // of a NATS that is a process
)

// probePatience is how long the first event may take before the stack tells the user that it waits.
const probePatience = 3 * time.Second

// maxEarlyEnds is how often a child may end before the stack is ready. It is more than one because another program may
// take a port after we found it free and before the child listens on it.
const maxEarlyEnds = 3

// Stack is a local stack.
type Stack struct {
	cfg     Config
	dir     *stackdir.Dir
	starter *process.Starter

	nats          natsPart
	redis         redisPart
	locks         []*redisServer
	routers       []*child
	workers       []*child
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
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	dir, err := stackdir.Open(cfg.Dir)
	if err != nil {
		return nil, err
	}
	s := &Stack{
		cfg: cfg, dir: dir, starter: process.NewStarter(), probePatience: probePatience,
		failed: make(chan error, 1), ends: map[string]int{}, running: map[string]*process.Process{},
	}
	s.stopping, s.halt = context.WithCancelCause(context.Background())
	s.aborted, s.abort = context.WithCancel(context.Background())
	return s, nil
}

// Start starts everything and returns once an event has been applied. Call Stop even if Start fails or ctx ends.
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
		s.startRedis, s.startLocks, s.startNATS, s.startRouters, s.startWorkers, s.probe, s.announce,
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

// startRouters comes before startWorkers: the routers create the topology that the workers read.
func (s *Stack) startRouters(ctx context.Context) (err error) {
	flags := []string{fmt.Sprintf("--shards=%d", s.cfg.Shards), "--lanes=" + s.cfg.Lanes}
	if s.cfg.NATSServers > 1 {
		flags = append(flags, fmt.Sprintf("--replicas=%d", s.cfg.NATSServers))
	}
	flags = append(flags, s.cfg.RouterFlags...)
	s.routers, err = s.startServices(ctx, stackfile.RoleRouter, s.cfg.Routers, flags)
	return err
}

func (s *Stack) startWorkers(ctx context.Context) (err error) {
	s.workers, err = s.startServices(ctx, stackfile.RoleWorker, s.cfg.Workers, s.cfg.WorkerFlags)
	return err
}

// serverEnv is the environment that tells a service where the servers are. It is no flags because an address may hold a password.
func (s *Stack) serverEnv(name, role string) ([]string, error) {
	nats, err := s.NATSFor(name)
	if err != nil {
		return nil, err
	}
	env := []string{service.EnvPrefix + "_NATS=" + nats}
	if role != stackfile.RoleWorker {
		return env, nil
	}
	redis, err := s.cfg.Via(name, stackfile.RoleRedis, s.redis.address())
	if err != nil {
		return nil, err
	}
	env = append(env, service.EnvPrefix+"_REDIS="+redis)
	var locks []string
	for _, l := range s.locks {
		lock, err := s.cfg.Via(name, l.name, l.addr)
		if err != nil {
			return nil, err
		}
		locks = append(locks, lock)
	}
	if len(locks) > 0 {
		env = append(env, service.EnvPrefix+"_LOCK_REDIS="+strings.Join(locks, " "))
	}
	return env, nil
}

// NATSFor returns the URL by which a client of that name reaches NATS; of a cluster all URLs, separated by commas. Each
// call asks Config.Via for new addresses.
func (s *Stack) NATSFor(name string) (string, error) {
	cluster, ok := s.nats.(*natsCluster)
	if !ok {
		return s.cfg.Via(name, stackfile.RoleNATS, s.nats.url())
	}
	var urls []string
	for _, node := range cluster.nodes {
		url, err := s.cfg.Via(name, node.name, node.url())
		if err != nil {
			return "", err
		}
		urls = append(urls, url)
	}
	return strings.Join(urls, ","), nil
}

// ServiceName is the name of a service, or of one of several servers; i counts from 0.
func ServiceName(role string, i int) string { return fmt.Sprintf("%s-%d", role, i+1) }

// startServices starts n processes of one role and waits until all are ready.
func (s *Stack) startServices(ctx context.Context, role string, n int, flags []string) ([]*child, error) {
	admins, err := freePorts(n)
	if err != nil {
		return nil, err
	}
	common := []string{"--app=" + s.cfg.App, "--log-format=text", "--pprof"}
	var children []*child
	for i, admin := range admins {
		name := ServiceName(role, i)
		env, err := s.serverEnv(name, role)
		if err != nil {
			return children, err
		}
		own := slices.Concat(common, flags)
		if role == stackfile.RoleWorker {
			own = append(own, "--name="+name)
		}
		c := newChild(s, stackfile.Process{Name: name, Role: role, Admin: admin}, own, env)
		children = append(children, c)
		if err := c.keeper.Start(ctx); err != nil {
			return children, err
		}
	}
	for _, c := range children {
		if err := s.awaitReady(ctx, c); err != nil {
			return children, err
		}
	}
	return children, nil
}

func (s *Stack) probe(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	sent := make(chan error, 1)
	go func() { sent <- s.cfg.Probe(ctx, s.nats.url(), s.cfg.App) }()
	logs := s.dir.Path(stackdir.LogsDir)
	late := time.NewTimer(s.probePatience)
	defer late.Stop()
	for {
		select {
		case <-late.C:
			s.say("still waiting for %s; the logs are in %s", awaited(logs), logs)
		case err := <-sent:
			switch {
			case err == nil:
				return nil
			case ctx.Err() != nil:
				return fmt.Errorf("%w; the stack waited for %s", context.Cause(ctx), awaited(logs))
			}
			return fmt.Errorf("the first event was not applied: %w; the stack waited for %s; see the logs in %s", err, awaited(logs), logs)
		case err := <-s.failed:
			cancel(err)
			<-sent
			return err
		}
	}
}

// awaited describes the event that the probe waits for, and the likely reason for the delay.
func awaited(logs string) string {
	what := fmt.Sprintf("its first event, `%s` with key %s, to be applied", probeData, probeKey)
	if warning := lastWarning(logs); warning != "" {
		what += "; the workers' last warning: " + warning
	}
	return what
}

// lastWarning returns the last warning or error in the workers' logs, "" if there is none.
func lastWarning(logs string) (last string) {
	files, _ := filepath.Glob(filepath.Join(logs, stackfile.RoleWorker+"-*.log"))
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			if strings.Contains(line, "level=WARN") || strings.Contains(line, "level=ERROR") {
				last = max(last, strings.TrimSpace(line)) // lines begin with the time
			}
		}
	}
	return last
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

// childStarted records a process that was started. It takes the place of the one it replaces.
func (s *Stack) childStarted(p stackfile.Process, running *process.Process) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running[p.Name] = running
	place := slices.IndexFunc(s.file.Processes, func(known stackfile.Process) bool { return known.Name == p.Name })
	if place < 0 {
		s.file.Processes = append(s.file.Processes, p)
	} else {
		s.file.Processes[place] = p
	}
	if !s.ready {
		return
	}
	if err := s.dir.Publish(s.file); err != nil {
		s.say("cannot rewrite stack.json: %v", err)
	}
	s.say("%s runs again (pid %d)", p.Name, p.PID)
}

// Crashes lists the services that ended without being told to, and how. A service that refused to start is not among them.
func (s *Stack) Crashes() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.crashes)
}

func (s *Stack) childCrashed(how string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.crashes = append(s.crashes, how)
}

// childEnded reports a child that ended by itself. While the stack starts, a child that ends too often makes Start fail.
func (s *Stack) childEnded(name, why string, wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ends[name]++
	switch {
	case s.ready:
		s.say("%s ended (%s); starting it again in %s", name, why, wait.Round(time.Millisecond))
	case s.ends[name] >= maxEarlyEnds:
		select {
		case s.failed <- fmt.Errorf("%s does not start: %s", name, why):
		default: // a reason is there already
		}
	}
}

func (s *Stack) say(format string, args ...any) { s.cfg.Say(fmt.Sprintf(format, args...)) }
