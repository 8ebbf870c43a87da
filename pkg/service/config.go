package service

import (
	"fmt"
	"net"
	"time"

	"example.com/lockstep/pkg/address"
	"example.com/lockstep/pkg/appname"
)

// Config is the configuration that every service shares. A service embeds it in the struct that it parses. Each flag may also
// come from the environment: appname.EnvPrefix, _ and the flag's name in capitals, for example ..._STOP_TIMEOUT.
type Config struct {
	App         string        `default:"${app}" help:"Name of the app; prefixes its subjects, streams, buckets, Redis keys and metrics."`
	NATS        string        `name:"nats" default:"nats://127.0.0.1:4222" help:"URL of the NATS server, or several, as in nats://a:4222,nats://b:4222."`
	Admin       string        `default:"127.0.0.1:0" placeholder:"HOST:PORT" help:"Address of /healthz, /readyz and /metrics; port 0 takes a free one and logs it."`
	PProf       bool          `name:"pprof" help:"Serve Go's profiles at /debug/pprof, on the address of --admin."`
	LogLevel    string        `default:"info" enum:"debug,info,warn,error" help:"Lowest level logged: debug, info, warn or error."`
	LogFormat   string        `default:"auto" enum:"auto,text,json" help:"Format of the log: text, json, or auto (text on a terminal, else json)."`
	StopTimeout time.Duration `default:"10s" help:"Time to finish work in progress after SIGTERM; the rest is then cancelled."`
}

// Validate checks the values of the flags. Parse calls it.
func (c *Config) Validate() error {
	if !appname.Valid(c.App) {
		return fmt.Errorf("--app=%q: want %s", c.App, appname.Rule)
	}
	if _, err := natsServers(c.NATS); err != nil {
		return fmt.Errorf("--nats=%s: %w", address.MaskRefused(c.NATS), err)
	}
	if _, _, err := net.SplitHostPort(c.Admin); err != nil {
		return fmt.Errorf("--admin=%q: want HOST:PORT", c.Admin)
	}
	if c.StopTimeout <= 0 {
		return fmt.Errorf("--stop-timeout=%s: must be above 0", c.StopTimeout)
	}
	return nil
}
