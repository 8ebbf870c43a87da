package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

const rabbitStart = 90 * time.Second

// rabbitConfig binds to loopback. Half of what the operating system has is more than a round needs.
const rabbitConfig = `listeners.tcp.1 = 127.0.0.1:%d
disk_free_limit.absolute = 50MB
log.console = false
`

// rabbitNode is a RabbitMQ of our own, with an Erlang port mapper of its own.
type rabbitNode struct {
	url     string
	version string
	epmd    *child
	server  *child
}

// findRabbit returns the program rabbitmq-server, "" if it is not installed. Debian has a script on PATH that becomes another
// user, and cannot write into our folder then; the program itself lies elsewhere.
func findRabbit() string {
	path, err := exec.LookPath("rabbitmq-server")
	if err != nil {
		return ""
	}
	const debian = "/usr/lib/rabbitmq/bin/rabbitmq-server"
	if _, err := os.Stat(debian); err == nil && strings.HasSuffix(path, "/sbin/rabbitmq-server") {
		return debian
	}
	return path
}

// startRabbit starts a node that keeps its data in dir, and returns nil if RabbitMQ is not installed.
func startRabbit(ctx context.Context, dir string) (*rabbitNode, error) {
	path := findRabbit()
	if path == "" {
		return nil, nil
	}
	epmdPath, err := exec.LookPath("epmd")
	if err != nil {
		return nil, fmt.Errorf("rabbitmq-server is on PATH, but Erlang's epmd is not: %w", err)
	}
	ports, err := freePorts(3)
	if err != nil {
		return nil, err
	}
	amqpPort, distPort, epmdPort := ports[0], ports[1], ports[2]
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	files := map[string]string{
		"rabbitmq.conf":   fmt.Sprintf(rabbitConfig, amqpPort),
		"enabled_plugins": "[rabbitmq_consistent_hash_exchange].\n",
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	n := &rabbitNode{url: fmt.Sprintf("amqp://guest:guest@127.0.0.1:%d/", amqpPort)}
	mapper := []string{fmt.Sprintf("ERL_EPMD_PORT=%d", epmdPort), "ERL_EPMD_ADDRESS=127.0.0.1"}
	if n.epmd, err = startChild(filepath.Join(dir, "epmd.log"), mapper, epmdPath, "-relaxed_command_check"); err != nil {
		return nil, err
	}
	env := append(mapper,
		"HOME="+dir,
		"RABBITMQ_NODENAME="+fmt.Sprintf("bench-%d@localhost", os.Getpid()),
		fmt.Sprintf("RABBITMQ_NODE_PORT=%d", amqpPort),
		fmt.Sprintf("RABBITMQ_DIST_PORT=%d", distPort),
		"RABBITMQ_CONFIG_FILE="+filepath.Join(dir, "rabbitmq"),
		"RABBITMQ_ENABLED_PLUGINS_FILE="+filepath.Join(dir, "enabled_plugins"),
		"RABBITMQ_MNESIA_BASE="+filepath.Join(dir, "data"),
		"RABBITMQ_LOG_BASE="+filepath.Join(dir, "log"),
		"RABBITMQ_PID_FILE="+filepath.Join(dir, "pid"),
		"RABBITMQ_CONF_ENV_FILE="+filepath.Join(dir, "none"),
		// On a machine that others use too its schedulers should sleep when there is nothing to do.
		"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=+sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}",
	)
	log := filepath.Join(dir, "server.log")
	if n.server, err = startChild(log, env, path); err != nil {
		n.stop()
		return nil, err
	}
	if err := n.ready(ctx); err != nil {
		n.stop()
		return nil, fmt.Errorf("%w (%s)", err, lastLines(log))
	}
	return n, nil
}

func (n *rabbitNode) ready(ctx context.Context) error {
	return poll(ctx, rabbitStart, "RabbitMQ is not ready", n.server, func(context.Context) error {
		conn, err := n.connect()
		if err != nil {
			return err
		}
		n.version, _ = conn.Properties["version"].(string)
		return conn.Close()
	})
}

func (n *rabbitNode) connect() (*amqp.Connection, error) { return amqp.Dial(n.url) }

func (n *rabbitNode) stop() {
	if n.server != nil {
		n.server.stop()
	}
	n.epmd.stop()
}

// freePorts returns n distinct ports of loopback that are free now.
func freePorts(n int) (ports []int, err error) {
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		defer l.Close() // held until all are found, so that they differ
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}
