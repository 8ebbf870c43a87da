package service

import (
	"fmt"
	"net"
	"regexp"
	"time"
)

// Config is what every service shares. A service embeds it in the struct it parses.
// Each flag may also come from the environment: LOCKSTEP_ and the flag's name in
// capitals, for example LOCKSTEP_STOP_TIMEOUT.
type Config struct {
	App         string        `default:"lockstep" help:"Name of the app: prefixes its subjects, streams, buckets, Redis keys and metrics. Begins with a letter; at most 31 of a-z, 0-9 and -."`
	NATS        string        `name:"nats" default:"nats://127.0.0.1:4222" help:"URL of the NATS server; several are separated by blanks or commas, as in nats://a:4222,nats://b:4222."`
	Admin       string        `default:"127.0.0.1:0" placeholder:"HOST:PORT" help:"Where /healthz, /readyz and /metrics listen; port 0 takes any free one, which the log tells."`
	PProf       bool          `name:"pprof" help:"Serve Go's profiles of this process at /debug/pprof, on the address of --admin."`
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
	if _, err := natsServers(c.NATS); err != nil {
		return fmt.Errorf("--nats=%s: %w", maskRefused(c.NATS), err)
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
	Redis     string   `default:"127.0.0.1:6379" placeholder:"HOST:PORT" help:"Redis that keeps the state: HOST:PORT or a redis://, rediss:// or unix:// URL."`
	LockRedis []string `sep:"none" placeholder:"HOST:PORT" help:"Redis that keeps the locks. Given several times, or several separated by blanks, a lock needs the majority of them. Default: the one of --redis."`
}

// Validate checks that each address is one. Parse calls it.
func (c *RedisConfig) Validate() error {
	if _, err := RedisOptions(c.Redis); err != nil {
		return fmt.Errorf("--redis=%s: %w", maskRefused(c.Redis), err)
	}
	seen := map[string]bool{}
	for _, list := range c.LockRedis {
		for _, lock := range Addresses(list) {
			// The list and not the address: where a blank in a password was taken for a separator, only the whole shows which
			// part of it is the password.
			if _, err := RedisOptions(lock); err != nil {
				return fmt.Errorf("--lock-redis=%s: %w", maskRefused(list), err)
			}
			if seen[lock] {
				return fmt.Errorf("--lock-redis=%s: given twice, but a majority needs different ones", Mask(lock))
			}
			seen[lock] = true
		}
	}
	return nil
}

// LockAddresses returns the Redis that keep the locks: those of --lock-redis, else the state's.
func (c *RedisConfig) LockAddresses() []string {
	var locks []string
	for _, list := range c.LockRedis {
		locks = append(locks, Addresses(list)...)
	}
	if len(locks) == 0 {
		return []string{c.Redis}
	}
	return locks
}
