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
publisher confirms, up to %d unconfirmed each. Prefetch %d a queue; a worker takes what has arrived, up to %d, has the
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
		defer s.close()
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
		if workers[w], err = newRabbitWorker(r, conn, newEffects(rdb, r.flow)); err != nil {
			return result{}, err
		}
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
	ended    chan struct{} // closed when nothing is confirmed any more
}

func newRabbitSender(conn *amqp.Connection, exchange string) (*rabbitSender, error) {
	ch, err := conn.Channel()
	if err != nil {
		return nil, err
	}
	if err := ch.Confirm(false); err != nil {
		return nil, err
	}
	s := &rabbitSender{ch: ch, exchange: exchange, room: make(chan struct{}, rabbitConfirms), refused: make(chan error, 1), ended: make(chan struct{})}
	go s.confirmed(ch.NotifyPublish(make(chan amqp.Confirmation, rabbitConfirms)))
	return s, nil
}

func (s *rabbitSender) close() {
	_ = s.ch.Close() // or the connection has closed it
	<-s.ended
}

var errRefused = errors.New("RabbitMQ refused an event, or closed the channel")

// confirmed makes room for what is confirmed until the channel is closed.
func (s *rabbitSender) confirmed(confirms <-chan amqp.Confirmation) {
	defer close(s.ended)
	for c := range confirms {
		if !c.Ack {
			s.refuse()
			continue
		}
		<-s.room
	}
	s.refuse()
}

func (s *rabbitSender) refuse() {
	select {
	case s.refused <- errRefused:
	default: // one reason is enough
	}
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

// rabbitWorker consumes from every queue on one channel.
type rabbitWorker struct {
	round      *round
	ch         *amqp.Channel
	effects    *effects
	queues     []<-chan amqp.Delivery
	deliveries chan amqp.Delivery // of all queues
	acks       acks
}

func newRabbitWorker(r *round, conn *amqp.Connection, own *effects) (*rabbitWorker, error) {
	ch, err := conn.Channel()
	if err != nil {
		return nil, err
	}
	if err := ch.Qos(rabbitPrefetch, 0, false); err != nil { // of each queue
		return nil, err
	}
	return &rabbitWorker{round: r, ch: ch, effects: own, deliveries: make(chan amqp.Delivery, rabbitBatch)}, nil
}

func (w *rabbitWorker) consume(shard int) error {
	deliveries, err := w.ch.Consume(w.round.queue(shard), "", false, false, false, false, nil)
	w.queues = append(w.queues, deliveries)
	return err
}

var errChannelClosed = errors.New("RabbitMQ closed a channel")

func (w *rabbitWorker) work(ctx context.Context) error {
	all, ctx := errgroup.WithContext(ctx)
	for _, q := range w.queues {
		all.Go(func() error { return w.forward(ctx, q) })
	}
	all.Go(func() error { return w.apply(ctx) })
	return all.Wait()
}

// forward hands on what comes from one queue, in its order.
func (w *rabbitWorker) forward(ctx context.Context, queue <-chan amqp.Delivery) error {
	for {
		select {
		case d, open := <-queue:
			if !open {
				return errChannelClosed
			}
			select {
			case w.deliveries <- d:
			case <-ctx.Done():
				return ctx.Err()
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// apply takes what has arrived, has its effects, and acknowledges it.
func (w *rabbitWorker) apply(ctx context.Context) error {
	var batch []event
	for {
		batch = batch[:0]
		select {
		case d := <-w.deliveries:
			batch = w.add(batch, d)
		case <-ctx.Done():
			return ctx.Err()
		}
		for n := min(len(w.deliveries), rabbitBatch-1); n > 0; n-- { // nobody else takes them
			batch = w.add(batch, <-w.deliveries)
		}
		if err := w.effects.many(ctx, batch, nil); err != nil {
			return err
		}
		if tag := w.acks.next(); tag > 0 {
			if err := w.ch.Ack(tag, true); err != nil {
				return err
			}
		}
	}
}

func (w *rabbitWorker) add(batch []event, d amqp.Delivery) []event {
	w.acks.add(d.DeliveryTag)
	return append(batch, event{key: d.RoutingKey, payload: d.Body})
}

// acks finds out up to which delivery of a channel all are done. They are numbered from 1, and those of different queues may
// be done out of order.
type acks struct {
	upTo uint64 // all up to this one have been acknowledged
	done map[uint64]struct{}
}

// add notes that a delivery is being done.
func (a *acks) add(tag uint64) {
	if a.done == nil {
		a.done = map[uint64]struct{}{}
	}
	a.done[tag] = struct{}{}
}

// next returns the last delivery of those that are done without a gap, 0 if there is none since the call before.
func (a *acks) next() uint64 {
	before := a.upTo
	for {
		if _, done := a.done[a.upTo+1]; !done {
			break
		}
		a.upTo++
		delete(a.done, a.upTo)
	}
	if a.upTo == before {
		return 0
	}
	return a.upTo
}
