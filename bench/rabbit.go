package main

import (
	"context"
	"errors"
	"fmt"

	amqp "github.com/rabbitmq/amqp091-go"
	"golang.org/x/sync/errgroup"
)

const (
	rabbitSenders  = 2
	rabbitPrefetch = 1024
	rabbitBatch    = 512
	rabbitConfirms = 8192 // unconfirmed events of a sender
	rabbitWeight   = "20" // of each queue on the exchange's ring
)

var rabbitPeer = peer{
	name:    "rabbitmq",
	title:   "RabbitMQ",
	matrix:  true,
	run:     rabbitMQ,
	effect:  true,
	ordered: true,
	promise: promise{
		order:    "by queue, while nothing is delivered again",
		effects:  "at least once: a crash between effect and ack doubles it",
		failover: "automatic: the next consumer of the queue becomes the active one",
		durable:  "persistent messages in durable classic queues; effects: Redis, AOF every second",
	},
	settings: fmt.Sprintf(`A consistent-hash exchange (weight %s a queue), one durable classic queue (version 2) a shard with a single active
consumer; every worker consumes from every queue, and the first to do so is dealt out. Persistent messages, %d senders with
publisher confirms, up to %d unconfirmed each. Prefetch %d; a worker takes what has arrived of a queue, up to %d, has the
effects with one MGET and one MSET, and acknowledges them with one ack.`, rabbitWeight, rabbitSenders, rabbitConfirms, rabbitPrefetch, rabbitBatch),
}

func (r *round) queue(shard int) string { return fmt.Sprintf("%s.%d", r.id, shard) }

func rabbitMQ(ctx context.Context, r *round) (result, error) {
	node := r.servers.rabbit
	admin, err := node.connect()
	if err != nil {
		return result{}, err
	}
	defer admin.Close()
	if err := r.declare(admin); err != nil {
		return result{}, err
	}
	defer r.undeclare(admin)
	c := crew{read: r.readAccounts}
	for range min(rabbitSenders, r.keys) {
		conn, err := node.connect()
		if err != nil {
			return result{}, err
		}
		defer conn.Close()
		s, err := newRabbitSender(conn, r.id)
		if err != nil {
			return result{}, err
		}
		c.senders = append(c.senders, s)
	}
	workers := make([]*rabbitWorker, r.workers)
	for w := range workers {
		conn, err := node.connect()
		if err != nil {
			return result{}, err
		}
		defer conn.Close()
		rdb := r.servers.redisClient()
		defer rdb.Close()
		workers[w] = &rabbitWorker{round: r, conn: conn, effects: func() *effects { return newEffects(rdb, r.flow) }}
	}
	// The first to consume from a queue is its active consumer.
	for turn := range workers {
		for shard := range r.shards {
			if err := workers[(shard+turn)%len(workers)].consume(shard); err != nil {
				return result{}, err
			}
		}
	}
	for _, w := range workers {
		c.workers = append(c.workers, w.work)
	}
	return r.run(ctx, c)
}

// declare creates the exchange and the queues.
func (r *round) declare(conn *amqp.Connection) error {
	ch, err := conn.Channel()
	if err != nil {
		return err
	}
	defer ch.Close()
	if err := ch.ExchangeDeclare(r.id, "x-consistent-hash", true, false, false, false, nil); err != nil {
		return err
	}
	for shard := range r.shards {
		args := amqp.Table{"x-single-active-consumer": true, "x-queue-version": 2}
		if _, err := ch.QueueDeclare(r.queue(shard), true, false, false, false, args); err != nil {
			return err
		}
		if err := ch.QueueBind(r.queue(shard), rabbitWeight, r.id, false, nil); err != nil {
			return err
		}
	}
	return nil
}

// undeclare removes what declare has created. What it cannot remove ends with the server, after the last round.
func (r *round) undeclare(conn *amqp.Connection) {
	ch, err := conn.Channel()
	if err != nil {
		return
	}
	defer ch.Close()
	for shard := range r.shards {
		_, _ = ch.QueueDelete(r.queue(shard), false, false, false)
	}
	_ = ch.ExchangeDelete(r.id, false, false)
}

// rabbitSender publishes on a channel of its own, so that its events stay in order.
type rabbitSender struct {
	ch       *amqp.Channel
	exchange string
	room     chan struct{} // holds one for each unconfirmed event
	refused  chan error    // holds the first
}

func newRabbitSender(conn *amqp.Connection, exchange string) (*rabbitSender, error) {
	ch, err := conn.Channel()
	if err != nil {
		return nil, err
	}
	if err := ch.Confirm(false); err != nil {
		return nil, err
	}
	s := &rabbitSender{ch: ch, exchange: exchange, room: make(chan struct{}, rabbitConfirms), refused: make(chan error, 1)}
	confirms := ch.NotifyPublish(make(chan amqp.Confirmation, rabbitConfirms))
	go s.confirmed(confirms) // ends with the connection
	return s, nil
}

var errRefused = errors.New("RabbitMQ refused an event, or closed the channel")

func (s *rabbitSender) confirmed(confirms <-chan amqp.Confirmation) {
	for c := range confirms {
		if !c.Ack {
			break
		}
		<-s.room
	}
	s.refused <- errRefused
}

func (s *rabbitSender) take(ctx context.Context) error {
	select {
	case s.room <- struct{}{}:
		return nil
	case err := <-s.refused:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *rabbitSender) send(ctx context.Context, ev event) error {
	if err := s.take(ctx); err != nil {
		return err
	}
	return s.ch.PublishWithContext(ctx, s.exchange, ev.key, false, false, amqp.Publishing{DeliveryMode: amqp.Persistent, Body: ev.payload})
}

// flush takes all the room there is.
func (s *rabbitSender) flush(ctx context.Context) error {
	for range rabbitConfirms {
		if err := s.take(ctx); err != nil {
			return err
		}
	}
	return nil
}

// rabbitWorker consumes from every queue, on a channel for each.
type rabbitWorker struct {
	round   *round
	conn    *amqp.Connection
	effects func() *effects
	queues  []rabbitQueue
}

type rabbitQueue struct {
	ch         *amqp.Channel
	deliveries <-chan amqp.Delivery
}

func (w *rabbitWorker) consume(shard int) error {
	ch, err := w.conn.Channel()
	if err != nil {
		return err
	}
	if err := ch.Qos(rabbitPrefetch, 0, false); err != nil {
		return err
	}
	deliveries, err := ch.Consume(w.round.queue(shard), "", false, false, false, false, nil)
	if err != nil {
		return err
	}
	w.queues = append(w.queues, rabbitQueue{ch, deliveries})
	return nil
}

func (w *rabbitWorker) work(ctx context.Context) error {
	all, ctx := errgroup.WithContext(ctx)
	for _, q := range w.queues {
		own := w.effects()
		all.Go(func() error { return q.work(ctx, own) })
	}
	return all.Wait()
}

func (q rabbitQueue) work(ctx context.Context, own *effects) error {
	var batch []event
	for {
		batch = batch[:0]
		var last uint64
		select {
		case d, open := <-q.deliveries:
			if !open {
				return errors.New("RabbitMQ closed a channel")
			}
			batch, last = append(batch, event{key: d.RoutingKey, payload: d.Body}), d.DeliveryTag
		case <-ctx.Done():
			return ctx.Err()
		}
		for len(batch) < rabbitBatch {
			d, arrived := q.arrived()
			if !arrived {
				break
			}
			batch, last = append(batch, event{key: d.RoutingKey, payload: d.Body}), d.DeliveryTag
		}
		if err := own.many(ctx, batch, nil); err != nil {
			return err
		}
		if err := q.ch.Ack(last, true); err != nil {
			return err
		}
	}
}

// arrived returns a delivery if one is there.
func (q rabbitQueue) arrived() (amqp.Delivery, bool) {
	select {
	case d, open := <-q.deliveries:
		return d, open
	default:
		return amqp.Delivery{}, false
	}
}
