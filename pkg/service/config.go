package service

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// Config is what every service shares. A service embeds it in the struct it parses.
// Each flag may also come from the environment: LOCKSTEP_ and the flag's name in
// capitals, for example LOCKSTEP_STOP_TIMEOUT.
type Config struct {
	App         string        `default:"lockstep" help:"Name of the app: prefixes its subjects, streams, buckets, Redis keys and metrics. Begins with a letter; at most 31 of a-z, 0-9 and -."`
	NATS        string        `name:"nats" default:"nats://127.0.0.1:4222" help:"URL of the NATS server; several are separated by commas."`
	Admin       string        `default:"127.0.0.1:0" placeholder:"HOST:PORT" help:"Where /healthz, /readyz, /metrics and /debug/pprof listen; port 0 takes any free one, which the log tells."`
	LogLevel    string        `default:"info" enum:"debug,info,warn,error" help:"Least level logged: debug, info, warn or error."`
	LogFormat   string        `default:"auto" enum:"auto,text,json" help:"Format of the log: text, json, or auto (text on a terminal, else json)."`
	StopTimeout time.Duration `default:"10s" help:"Time to finish what is under way after SIGTERM; what still runs then is cancelled."`
}

var appPattern = regexp.MustCompile(`^[a-z][a-z0-9-]{0,30}$`)

// Validate checks what the flags' types do not. Parse calls it.
func (c *Config) Validate() error {
	if !appPattern.MatchString(c.App) {
		return fmt.Errorf("--app=%q: want a letter a-z, then at most 30 of a-z, 0-9 and -", c.App)
	}
	if err := checkNATSURL(c.NATS); err != nil {
		return fmt.Errorf("--nats=%s: %w", Mask(c.NATS), err)
	}
	if _, _, err := net.SplitHostPort(c.Admin); err != nil {
		return fmt.Errorf("--admin=%q: want HOST:PORT", c.Admin)
	}
	if c.StopTimeout <= 0 {
		return fmt.Errorf("--stop-timeout=%s: must be above 0", c.StopTimeout)
	}
	return nil
}

// RedisConfig is what a service that uses Redis embeds beside Config.
type RedisConfig struct {
	Redis     string   `default:"127.0.0.1:6379" placeholder:"HOST:PORT" help:"Redis that keeps the state: HOST:PORT or a redis:// or rediss:// URL."`
	LockRedis []string `placeholder:"HOST:PORT" help:"Redis that keeps the locks. Given several times, a lock needs the majority of them. Default: the one of --redis."`
}

// Validate checks that each address is one. Parse calls it.
func (c *RedisConfig) Validate() error {
	if _, err := redisOptions(c.Redis); err != nil {
		return fmt.Errorf("--redis=%s: %w", Mask(c.Redis), err)
	}
	seen := map[string]bool{}
	for _, lock := range c.LockRedis {
		if _, err := redisOptions(lock); err != nil {
			return fmt.Errorf("--lock-redis=%s: %w", Mask(lock), err)
		}
		if seen[lock] {
			return fmt.Errorf("--lock-redis=%s: given twice, but a majority needs different ones", Mask(lock))
		}
		seen[lock] = true
	}
	return nil
}

// LockAddresses returns the Redis that keep the locks: those of --lock-redis, else the state's.
func (c *RedisConfig) LockAddresses() []string {
	if len(c.LockRedis) == 0 {
		return []string{c.Redis}
	}
	return c.LockRedis
}

// errNotURL takes the place of net/url's errors, which quote parts of what they
// could not read, and so of a password.
var errNotURL = errors.New("not a valid URL (is a special character in the password not percent-encoded?)")

func checkNATSURL(urls string) error {
	for one := range strings.SplitSeq(urls, ",") {
		one = strings.TrimSpace(one)
		if one == "" {
			return errors.New("want nats://HOST:PORT")
		}
		if !strings.Contains(one, "://") {
			one = "nats://" + one
		}
		u, err := url.Parse(one)
		if err != nil {
			return errNotURL
		}
		switch u.Scheme {
		case "nats", "tls", "ws", "wss":
		default:
			return fmt.Errorf("want nats://, tls://, ws:// or wss://, not %s://", u.Scheme)
		}
		if u.Hostname() == "" {
			return errors.New("names no host; want nats://HOST:PORT")
		}
	}
	return nil
}
