package redisnodes

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Pair is a master and a replica of it, by their addresses.
type Pair struct{ Master, Replica string }

// Pairs lists each master at these addresses with its replica. It is an error while there is a replica whose link to its master
// is down, a master without one, or a server that does not answer or writes its file for the first time: until that is done, it
// ignores SIGTERM.
func Pairs(ctx context.Context, addrs []string) (pairs []Pair, err error) {
	masters := map[string]bool{}
	for _, addr := range addrs {
		master, err := masterOf(ctx, addr)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", addr, err)
		}
		if master == "" {
			masters[addr] = true
		} else {
			pairs = append(pairs, Pair{master, addr})
		}
	}
	for _, p := range pairs {
		if !masters[p.Master] {
			return nil, fmt.Errorf("%s is a replica of %s, which is no master here", p.Replica, p.Master)
		}
	}
	for addr := range masters {
		if !slices.ContainsFunc(pairs, func(p Pair) bool { return p.Master == addr }) {
			return nil, fmt.Errorf("master %s has no replica", addr)
		}
	}
	slices.SortFunc(pairs, func(a, b Pair) int { return strings.Compare(a.Master+a.Replica, b.Master+b.Replica) })
	return pairs, nil
}

// AwaitPairs waits until Pairs returns that many.
func AwaitPairs(ctx context.Context, addrs []string, n int) (pairs []Pair, err error) {
	err = await(ctx, "every master with its replica", func(ctx context.Context) error {
		if pairs, err = Pairs(ctx, addrs); err == nil && len(pairs) != n {
			err = fmt.Errorf("there are %d pairs of master and replica, not %d", len(pairs), n)
		}
		return err
	})
	return pairs, err
}

// masterOf returns the address of a replica's master, "" for a master.
func masterOf(ctx context.Context, addr string) (master string, err error) {
	err = at(addr, func(client *redis.Client) error {
		ctx, cancel := context.WithTimeout(ctx, NodeTimeout)
		defer cancel()
		is, err := client.Info(ctx, "replication").Result()
		if err != nil {
			return err
		}
		if field(is, "role") == "slave" {
			if field(is, "master_link_status") != "up" {
				return fmt.Errorf("the link to its master is %s", field(is, "master_link_status"))
			}
			master = net.JoinHostPort(field(is, "master_host"), field(is, "master_port"))
		}
		if is, err = client.Info(ctx, "persistence").Result(); err == nil && field(is, "aof_rewrite_in_progress") == "1" {
			err = errors.New("it writes its file")
		}
		return err
	})
	return master, err
}

// Lag returns how many bytes of its master's writes a replica lacks.
func (p Pair) Lag(ctx context.Context) (bytes int64, err error) {
	written, err := offset(ctx, p.Master)
	if err != nil {
		return 0, err
	}
	read, err := offset(ctx, p.Replica)
	return written - read, err
}

func offset(ctx context.Context, addr string) (bytes int64, err error) {
	err = at(addr, func(client *redis.Client) error {
		is, err := client.Info(ctx, "replication").Result()
		if err != nil {
			return err
		}
		name := "master_repl_offset"
		if field(is, "role") == "slave" {
			name = "slave_repl_offset"
		}
		bytes, err = strconv.ParseInt(field(is, name), 10, 64)
		return err
	})
	return bytes, err
}

// Cut cuts a replica off from its master, until Mend: the replica logs in as a user that the master does not have. What the master
// writes meanwhile is not even in a socket's buffer.
func (p Pair) Cut(ctx context.Context) error {
	err := at(p.Replica, func(client *redis.Client) error {
		if err := client.Do(ctx, "CONFIG", "SET", "masteruser", "nobody", "masterauth", "none").Err(); err != nil {
			return err
		}
		return client.Do(ctx, "CLIENT", "KILL", "TYPE", "master").Err()
	})
	if err != nil {
		return fmt.Errorf("cut replica %s off from its master: %w", p.Replica, err)
	}
	return nil
}

// Mend undoes Cut, also after the replica has become a master: it may follow another one later.
func (p Pair) Mend(ctx context.Context) error {
	err := at(p.Replica, func(client *redis.Client) error {
		if err := client.Do(ctx, "CONFIG", "SET", "masteruser", "", "masterauth", "").Err(); err != nil {
			return err
		}
		err := client.ConfigRewrite(ctx).Err() // a Sentinel may have let the replica write its settings down
		if err != nil && strings.Contains(err.Error(), "without a config file") {
			return nil
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("let replica %s follow its master again: %w", p.Replica, err)
	}
	return nil
}

// AwaitTakeover returns when the replica has become a master.
func (p Pair) AwaitTakeover(ctx context.Context) error {
	return await(ctx, "replica "+p.Replica, func(ctx context.Context) error {
		return at(p.Replica, func(client *redis.Client) error {
			is, err := client.Info(ctx, "replication").Result()
			if err == nil && field(is, "role") != "master" {
				err = fmt.Errorf("it follows %s", p.Master)
			}
			return err
		})
	})
}
