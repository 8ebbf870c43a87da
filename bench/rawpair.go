package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"
)

// senderTick is how long the sender sleeps at least, as Lockstep's own load.
const senderTick = 500 * time.Microsecond

// rawCost measures the raw pair: each event is one JetStream message, and one SET by a reader with an ordered consumer for each
// subject. It keeps no promise; it is what the two servers cost by themselves.
func (c *CLI) rawCost(ctx context.Context, r *round, rate int) (*cost, error) {
	nc, err := r.servers.connect()
	if err != nil {
		return nil, err
	}
	defer nc.Close()
	p, err := r.newAsyncPublisher(nc, false)
	if err != nil {
		return nil, err
	}
	if err := r.createLog(ctx, p.js); err != nil {
		return nil, err
	}
	reader, err := r.startReader(ctx, p.js)
	if err != nil {
		return nil, err
	}
	defer reader.stop()
	var sent atomic.Int64
	sending, stop := context.WithCancel(ctx)
	defer stop()
	all, alive := errgroup.WithContext(sending)
	all.Go(func() error { return r.pace(alive, p, rate, &sent) })
	one, err := r.window(ctx, map[string][]int{"reader": {reader.cmd.Process.Pid}, senderName: {os.Getpid()}}, rate, reader,
		func(context.Context) (float64, error) { return float64(sent.Load()), nil })
	stop()
	if failed := all.Wait(); failed != nil && !errors.Is(failed, context.Canceled) {
		return nil, failed
	}
	return one, err
}

// pace sends events at a rate until ctx ends.
func (r *round) pace(ctx context.Context, p *asyncPublisher, rate int, sent *atomic.Int64) error {
	begun := time.Now()
	for from := r.book.source(0, 1); ctx.Err() == nil; {
		due := int64(time.Since(begun).Seconds() * float64(rate))
		for sent.Load() < due {
			ev := from.next()
			ev.payload = append([]byte(ev.key+" "), ev.payload...)
			if err := p.send(ctx, ev); err != nil {
				return err
			}
			sent.Add(1)
		}
		next := begun.Add(time.Duration(float64(due+1) / float64(rate) * float64(time.Second)))
		sleepShort(max(senderTick, time.Until(next)))
	}
	return ctx.Err()
}

// startReader starts the reader as a process of its own, with the share of the processors that a worker has.
func (r *round) startReader(ctx context.Context, js jetstream.JetStream) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	task := strings.Join([]string{r.servers.nats, r.servers.redisAddr, r.id, strconv.Itoa(r.shards)}, ",")
	reader, err := startChild(filepath.Join(r.servers.dir, r.id+"-reader.log"), processorShare(), self, "--bin="+r.servers.bin, "--raw-reader="+task)
	if err != nil {
		return nil, err
	}
	err = poll(ctx, readyTime, "the reader is not ready", reader, func(ctx context.Context) error {
		s, err := js.Stream(ctx, r.logStream())
		if err == nil && s.CachedInfo().State.Consumers < r.shards {
			err = fmt.Errorf("%d consumers of %d so far", s.CachedInfo().State.Consumers, r.shards)
		}
		return err
	})
	if err != nil {
		reader.stop()
		return nil, fmt.Errorf("%w (%s)", err, lastLines(reader.log))
	}
	return reader, nil
}

// runReader is the reader's process. task is what startReader gives it.
func runReader(ctx context.Context, task []string) error {
	const parts = 4
	if len(task) != parts {
		return fmt.Errorf("--raw-reader=%s: bench itself starts readers", strings.Join(task, ","))
	}
	shards, err := strconv.Atoi(task[3])
	if err != nil {
		return err
	}
	s := &servers{nats: task[0], redisAddr: task[1]}
	r := &round{cell: cell{shards, 1}, id: task[2], servers: s}
	nc, err := nats.Connect(s.nats)
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	rdb := s.redisClient()
	defer rdb.Close()
	failed := make(chan error, 1)
	for shard := range shards {
		consumer, err := js.OrderedConsumer(ctx, r.logStream(), jetstream.OrderedConsumerConfig{FilterSubjects: []string{r.subject(shard)}})
		if err != nil {
			return err
		}
		if _, err := consumer.Consume(func(m jetstream.Msg) {
			key, payload, _ := bytes.Cut(m.Data(), []byte(" "))
			if err := rdb.Set(ctx, accountKey(string(key)), payload, 0).Err(); err != nil {
				select {
				case failed <- err:
				default:
				}
			}
		}); err != nil {
			return err
		}
	}
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		return nil
	}
}
