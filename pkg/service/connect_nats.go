package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"example.com/lockstep/pkg/address"
	"github.com/nats-io/nats.go"
)

const (
	// connectTimeout bounds how long a service tries to connect at its start.
	connectTimeout = 4 * time.Second

	reconnectWait   = 100 * time.Millisecond
	reconnectJitter = 100 * time.Millisecond

	// A server that leaves two pings unanswered is given up. Else a lost host would be noticed only when TCP does.
	pingInterval = 5 * time.Second
	maxPings     = 2
	// So is one that reads nothing for as long: a blocked write blocks all others on the connection.
	writeTimeout = maxPings * pingInterval
)

// ConnectNATS connects to the server that cfg names, as client <app>-<name>. When the connection is lost it reconnects for ever,
// and buffers nothing meanwhile: a publish then fails at once. If the server cannot be reached now, it returns an error within
// 5 s that names the address, without secrets.
func ConnectNATS(cfg Config, name string, log *slog.Logger) (*nats.Conn, error) {
	servers, err := natsServers(cfg.NATS)
	if err != nil {
		return nil, fmt.Errorf("bad --nats=%s: %w", address.MaskRefused(cfg.NATS), err)
	}
	nc, err := dialNATS(servers,
		nats.Name(cfg.App+"-"+name),
		// Each server may use it twice: for the dial, and for its greeting.
		nats.Timeout(connectTimeout/time.Duration(2*len(servers))),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(reconnectWait),
		nats.ReconnectJitter(reconnectJitter, reconnectJitter),
		nats.ReconnectBufSize(-1),
		nats.IgnoreAuthErrorAbort(),
		nats.PingInterval(pingInterval),
		nats.MaxPingsOutstanding(maxPings),
		nats.FlusherTimeout(writeTimeout),
		nats.ReconnectOnFlusherError(),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				log.Warn("disconnected from NATS", "error", err)
			}
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) {
			log.Info("reconnected to NATS", "url", address.Mask(nc.ConnectedUrl()))
		}),
		nats.ErrorHandler(func(_ *nats.Conn, sub *nats.Subscription, err error) {
			subject := ""
			if sub != nil {
				subject = sub.Subject
			}
			log.Warn("NATS reports an error", "error", err, "subject", subject)
		}),
	)
	switch {
	case err == nil:
		return nc, nil
	case isLogin(err):
		return nil, fmt.Errorf("NATS at %s refuses the login: %w: check user, password or token in --nats", address.Mask(cfg.NATS), err)
	}
	return nil, fmt.Errorf("cannot reach NATS at %s: %w: is it running? see --nats", address.Mask(cfg.NATS), err)
}

// isLogin tells whether a server refused our login. nats.go returns the server's text.
func isLogin(err error) bool {
	words := strings.ToLower(err.Error())
	return strings.Contains(words, nats.AUTHORIZATION_ERR) || strings.Contains(words, "authentication ")
}

// dialNATS is nats.Connect for a list of servers. nats.Connect would split a list at every comma, also within a password.
func dialNATS(servers []string, options ...nats.Option) (*nats.Conn, error) {
	opts := nats.GetDefaultOptions()
	opts.Servers = servers
	for _, option := range options {
		if err := option(&opts); err != nil {
			return nil, err
		}
	}
	return opts.Connect()
}

// NATSReady is a readiness check: nc is connected.
func NATSReady(nc *nats.Conn) func(context.Context) error {
	return func(context.Context) error {
		if status := nc.Status(); status != nats.CONNECTED {
			return fmt.Errorf("connection to NATS is %s", strings.ToLower(status.String()))
		}
		return nil
	}
}

// natsServers returns the addresses of a list of NATS servers, or an error if one of them is wrong.
func natsServers(list string) ([]string, error) {
	servers := address.Split(list)
	if len(servers) == 0 {
		return nil, errors.New("want nats://HOST:PORT")
	}
	for _, server := range servers {
		// One of several with a user needs its scheme: it may be the end of a password with a blank in it.
		if len(servers) > 1 && strings.Contains(server, "@") && !strings.Contains(server, "://") {
			return nil, address.ErrNotURL
		}
		if err := checkNATS(server); err != nil {
			return nil, err
		}
	}
	return servers, nil
}

func checkNATS(server string) error {
	if !strings.Contains(server, "://") {
		server = "nats://" + server
	}
	u, err := address.Parse(server)
	if err != nil {
		return err
	}
	switch u.Scheme {
	case "nats", "tls", "ws", "wss":
	default:
		return fmt.Errorf("want nats://, tls://, ws:// or wss://, not %s://", u.Scheme)
	}
	if u.Hostname() == "" {
		return errors.New("names no host; want nats://HOST:PORT")
	}
	return nil
}
