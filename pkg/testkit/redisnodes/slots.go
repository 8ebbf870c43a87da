package redisnodes

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// migrateTimeout bounds a pause between two nodes while one sends keys to the other.
const migrateTimeout = time.Minute

// allKeys is more keys than a slot has in a test.
const allKeys = 1 << 20

// Master is a node that serves slots.
type Master struct {
	Addr   string // host:port
	ID     string
	ranges []redis.SlotRange
}

func (m Master) serves(slot int) bool {
	return slices.ContainsFunc(m.ranges, func(r redis.SlotRange) bool { return r.Start <= int64(slot) && int64(slot) <= r.End })
}

// Masters lists the masters of a cluster, as one of its nodes sees them.
func Masters(ctx context.Context, addr string) (masters []Master, err error) {
	client := newClient(addr)
	defer func() { _ = client.Close() }()
	shards, err := client.ClusterShards(ctx).Result()
	if err != nil {
		return nil, fmt.Errorf("ask node %s for the cluster's slots: %w", addr, err)
	}
	for _, shard := range shards {
		for _, node := range shard.Nodes {
			if node.Role == "master" && node.Health == "online" && len(shard.Slots) > 0 {
				masters = append(masters, Master{
					Addr: net.JoinHostPort(node.IP, strconv.FormatInt(node.Port, 10)), ID: node.ID, ranges: shard.Slots,
				})
			}
		}
	}
	slices.SortFunc(masters, func(a, b Master) int { return strings.Compare(a.Addr, b.Addr) })
	return masters, nil
}

// Move is a slot on its way from one master to another, as an operator moves it: Begin, some calls of Migrate, End.
type Move struct {
	Slot     int
	From, To Master

	others []Master
}

// NewMove plans to move the slot of a key. The node at addr says who serves it; to chooses among the other masters.
func NewMove(ctx context.Context, addr, key string, to func(others []Master) Master) (*Move, error) {
	masters, err := Masters(ctx, addr)
	if err != nil {
		return nil, err
	}
	m := &Move{}
	err = at(addr, func(client *redis.Client) error {
		slot, err := client.ClusterKeySlot(ctx, key).Result()
		m.Slot = int(slot)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("ask node %s for the slot of %q: %w", addr, key, err)
	}
	from := slices.IndexFunc(masters, func(one Master) bool { return one.serves(m.Slot) })
	if from < 0 || len(masters) < 2 {
		return nil, fmt.Errorf("node %s knows %d masters, and none that could hand slot %d to another", addr, len(masters), m.Slot)
	}
	m.From = masters[from]
	m.others = slices.Delete(masters, from, from+1)
	m.To = to(m.others)
	return m, nil
}

// Begin marks the slot as moving. From now on calls that name a missing key are sent to the target, or refused with TRYAGAIN if
// another of their keys is there.
func (m *Move) Begin(ctx context.Context) error {
	if err := m.set(ctx, m.To, "IMPORTING", m.From.ID); err != nil {
		return err
	}
	return m.set(ctx, m.From, "MIGRATING", m.To.ID)
}

// Keys lists the slot's keys that the source still has, in order.
func (m *Move) Keys(ctx context.Context) (keys []string, err error) {
	err = at(m.From.Addr, func(client *redis.Client) error {
		keys, err = client.ClusterGetKeysInSlot(ctx, m.Slot, allKeys).Result()
		return err
	})
	slices.Sort(keys)
	return keys, err
}

// Migrate moves keys. Both nodes do nothing else meanwhile.
func (m *Move) Migrate(ctx context.Context, keys ...string) error {
	host, port, err := net.SplitHostPort(m.To.Addr)
	if err != nil || len(keys) == 0 {
		return err
	}
	args := []any{"MIGRATE", host, port, "", 0, migrateTimeout.Milliseconds(), "KEYS"}
	for _, key := range keys {
		args = append(args, key)
	}
	err = at(m.From.Addr, func(client *redis.Client) error { return client.Do(ctx, args...).Err() })
	if err != nil {
		return fmt.Errorf("move %d keys of slot %d from %s to %s: %w", len(keys), m.Slot, m.From.Addr, m.To.Addr, err)
	}
	return nil
}

// End moves what is left and makes the target serve the slot.
func (m *Move) End(ctx context.Context) error {
	for {
		keys, err := m.Keys(ctx)
		if err != nil {
			return err
		}
		if len(keys) == 0 {
			break
		}
		if err := m.Migrate(ctx, keys...); err != nil {
			return err
		}
	}
	var errs []error
	for _, one := range append([]Master{m.To, m.From}, m.others...) { // the target first: it must not lose the slot
		errs = append(errs, m.set(ctx, one, "NODE", m.To.ID))
	}
	return errors.Join(errs...)
}

// AwaitCopied waits until the node at addr has that many of the slot's keys, and knows that owner serves the slot.
func (m *Move) AwaitCopied(ctx context.Context, addr string, owner Master, keys int64) error {
	return await(ctx, "the copy of slot "+strconv.Itoa(m.Slot)+" at "+addr, func(ctx context.Context) error {
		masters, err := Masters(ctx, addr)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(masters, func(one Master) bool { return one.ID == owner.ID && one.serves(m.Slot) }) {
			return fmt.Errorf("it does not know that %s serves the slot", owner.Addr)
		}
		return at(addr, func(client *redis.Client) error {
			n, err := client.ClusterCountKeysInSlot(ctx, m.Slot).Result()
			if err == nil && n != keys {
				err = fmt.Errorf("it has %d keys of the slot, not %d", n, keys)
			}
			return err
		})
	})
}

// Abandon ends a move whose source is dead, when its replica has taken over: the keys that the target has received are deleted.
func (m *Move) Abandon(ctx context.Context) error {
	// While the slot counts as moving, the target believes that the dead source serves it, and so that the cluster is down.
	if err := m.set(ctx, m.To, "STABLE"); err != nil {
		return err
	}
	var owner Master
	err := await(ctx, "the move's end at "+m.To.Addr, func(ctx context.Context) error {
		masters, err := Masters(ctx, m.To.Addr)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(masters, func(one Master) bool { return one.serves(m.Slot) })
		if i < 0 || masters[i].ID == m.From.ID {
			return fmt.Errorf("it does not know which node has taken over slot %d", m.Slot)
		}
		owner = masters[i]
		return works(ctx, m.To.Addr)
	})
	if err != nil {
		return err
	}
	if err := m.set(ctx, m.To, "IMPORTING", owner.ID); err != nil { // a node lets no keys be deleted from another's slot
		return err
	}
	if err := m.forget(ctx); err != nil {
		return fmt.Errorf("delete what %s has received of slot %d: %w", m.To.Addr, m.Slot, err)
	}
	return m.set(ctx, m.To, "STABLE")
}

// forget deletes the slot's keys at the target.
func (m *Move) forget(ctx context.Context) error {
	return at(m.To.Addr, func(client *redis.Client) error {
		keys, err := client.ClusterGetKeysInSlot(ctx, m.Slot, allKeys).Result()
		if err != nil || len(keys) == 0 {
			return err
		}
		_, err = client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			for _, key := range keys {
				pipe.Do(ctx, "ASKING")
				pipe.Del(ctx, key)
			}
			return nil
		})
		return err
	})
}

// works returns an error while a node says that its cluster is down.
func works(ctx context.Context, addr string) error {
	return at(addr, func(client *redis.Client) error {
		info, err := client.ClusterInfo(ctx).Result()
		if state := field(info, "cluster_state"); err == nil && state != "ok" {
			err = fmt.Errorf("it says that the cluster's state is %q", state)
		}
		return err
	})
}

func (m *Move) set(ctx context.Context, where Master, state string, node ...any) error {
	args := append([]any{"CLUSTER", "SETSLOT", m.Slot, state}, node...)
	err := at(where.Addr, func(client *redis.Client) error { return client.Do(ctx, args...).Err() })
	if err != nil {
		return fmt.Errorf("set slot %d at %s to %s: %w", m.Slot, where.Addr, strings.TrimSpace(fmt.Sprintln(args[3:]...)), err)
	}
	return nil
}

// at calls do with a client that does not try twice. It waits for as long as the context of do's calls: to send a large key takes
// longer than most clients wait.
func at(addr string, do func(*redis.Client) error) error {
	client := redis.NewClient(&redis.Options{
		Addr: addr, ContextTimeoutEnabled: true, DisableIdentity: true, MaxRetries: -1, ReadTimeout: -1, WriteTimeout: -1,
	})
	defer func() { _ = client.Close() }()
	return do(client)
}
