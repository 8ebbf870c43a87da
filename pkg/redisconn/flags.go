package redisconn

import (
	"fmt"

	"example.com/lockstep/pkg/address"
)

// Flags is what a service that uses Redis embeds beside service.Config.
type Flags struct {
	Redis     string   `default:"127.0.0.1:6379" placeholder:"HOST:PORT" help:"Redis of the state: HOST:PORT or a redis://, rediss:// or unix:// URL; with ?addr=HOST:PORT&addr=... a cluster, with ?master_name=NAME&addr=... its Sentinels."`
	LockRedis []string `sep:"none" placeholder:"HOST:PORT" help:"Redis of the locks, in the same forms; repeatable, or separated by blanks: a lock needs the majority. Default: that of --redis."`
}

// Validate checks the addresses. service.Parse calls it.
func (f *Flags) Validate() error {
	if err := Check(f.Redis); err != nil {
		return fmt.Errorf("--redis=%s: %w", address.MaskRefused(f.Redis), err)
	}
	seen := map[string]bool{}
	for _, list := range f.LockRedis {
		for _, lock := range address.Split(list) {
			// The error names the list and not the address: if a blank in a password was taken for a separator, only the list
			// shows which part of it is the password.
			if err := Check(lock); err != nil {
				return fmt.Errorf("--lock-redis=%s: %w", address.MaskRefused(list), err)
			}
			if seen[lock] {
				return fmt.Errorf("--lock-redis=%s: given twice, but a majority needs different ones", address.Mask(lock))
			}
			seen[lock] = true
		}
	}
	return nil
}

// LockAddresses returns the addresses of --lock-redis, else that of --redis.
func (f *Flags) LockAddresses() []string {
	var locks []string
	for _, list := range f.LockRedis {
		locks = append(locks, address.Split(list)...)
	}
	if len(locks) == 0 {
		return []string{f.Redis}
	}
	return locks
}
