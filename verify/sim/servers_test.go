//go:build !determined

package sim

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"example.com/lockstep/pkg/lease"
	"example.com/lockstep/pkg/testkit"
	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// The simulated servers answer the same questions as NATS and Redis do.
func TestSimulatedAsServers(t *testing.T) {
	server := testkit.NATS(t)
	redisClient := redis.NewClient(&redis.Options{Addr: testkit.RedisProcess(t).Addr})
	t.Cleanup(func() { require.NoError(t, redisClient.Close()) })
	fromServers := append(askBroker(server.Connect(t)), askLocks(redisClient)...)

	var fromSimulated []string
	synctest.Test(t, func(t *testing.T) {
		w := New(1)
		p := w.NewProcess("asker")
		s := w.NewLockServer("lock server")
		answered := make(chan struct{})
		go func() {
			defer close(answered)
			nc, err := p.Connect()
			if err != nil {
				panic(err)
			}
			fromSimulated = append(askBroker(nc), askLocks(s.For(p))...)
			time.Sleep(time.Millisecond)
			nc.Close()
		}()
		w.RunUntil(func() bool { return ended(answered) })
		w.Run(10 * time.Second) // the client's last time-outs
	})
	require.Equal(t, []string(fromServers), fromSimulated)
}

// asked collects answers.
type asked []string

func (a *asked) say(what string, values ...any) {
	*a = append(*a, fmt.Sprintln(append([]any{what}, values...)...))
}

func askBroker(nc *nats.Conn) (out asked) {
	ctx, cancel := context.WithTimeout(background, 5*time.Second)
	defer cancel()
	_, err := nc.RequestWithContext(ctx, "nobody", nil)
	out.say("nobody listens", errors.Is(err, nats.ErrNoResponders))
	js, err := jetstream.New(nc)
	out.say("jetstream", err)
	kv, err := js.CreateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: "b", History: 1})
	out.say("bucket", err)
	_, err = js.CreateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: "b", History: 1})
	out.say("the same again", err)
	_, err = js.CreateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: "b", History: 2})
	out.say("another", errors.Is(err, jetstream.ErrBucketExists))
	_, err = kv.Get(ctx, "x")
	out.say("nothing there", errors.Is(err, jetstream.ErrKeyNotFound))
	one, err := kv.Put(ctx, "x", []byte("1"))
	out.say("put", one, err)
	two, err := kv.Update(ctx, "x", []byte("2"), one)
	out.say("update", two, err)
	_, err = kv.Update(ctx, "x", []byte("3"), one)
	out.say("update of an old one", err)
	_, err = kv.Create(ctx, "x", nil)
	out.say("create what there is", errors.Is(err, jetstream.ErrKeyExists))
	_, err = kv.Put(ctx, "y", []byte("y"))
	out.say("put another", err)
	out.say("delete an old one", kv.Delete(ctx, "x", jetstream.LastRevision(one)) != nil)
	e, err := kv.Get(ctx, "x")
	if out.say("get", err); err == nil {
		out.say("it", string(e.Value()), e.Revision())
	}
	entries := make(chan jetstream.KeyValueEntry, 16)
	watch, err := topology.Follow(ctx, nc, kv, slog.New(slog.DiscardHandler), func() {}, func(e jetstream.KeyValueEntry) { entries <- e })
	out.say("watch", err)
	changes := func(n int) {
		for range n {
			if e := <-entries; e != nil {
				out.say("change", e.Key(), e.Operation(), string(e.Value()), e.Revision())
			} else {
				out.say("that is all")
			}
		}
	}
	changes(3)
	out.say("delete", kv.Delete(ctx, "x", jetstream.LastRevision(two)))
	out.say("purge", kv.Purge(ctx, "y"))
	changes(2)
	watch.Stop()
	out.askStream(ctx, js)
	return out
}

// askStream stores and reads messages.
func (a *asked) askStream(ctx context.Context, js jetstream.JetStream) {
	stream, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "S", Subjects: []string{"s.*"}, AllowDirect: true})
	a.say("stream", err)
	for _, filter := range []string{"s.>", "t.>"} {
		names := js.StreamNames(ctx, jetstream.WithStreamListSubject(filter))
		for name := range names.Name() {
			a.say("takes "+filter, name)
		}
		a.say("all that take "+filter, names.Err())
	}
	for _, subject := range []string{"s.1", "s.2", "s.1"} {
		ack, err := js.Publish(ctx, subject, []byte(subject))
		a.say("stored", ack, err)
	}
	_, err = js.Publish(ctx, "t.1", nil, jetstream.WithRetryAttempts(0))
	a.say("no stream", err)
	m, err := stream.GetMsg(ctx, 2)
	if a.say("message", err); err == nil {
		a.say("it", m.Subject, string(m.Data), m.Sequence)
	}
	_, err = stream.GetMsg(ctx, 9)
	a.say("no message", err)
	m, err = stream.GetLastMsgForSubject(ctx, "s.1")
	if a.say("last", err); err == nil {
		a.say("it", m.Subject, m.Sequence)
	}
	info, err := stream.Info(ctx)
	a.say("has a leader", info.Cluster != nil && info.Cluster.Leader != "")
	a.say("state", info.State.FirstSeq, info.State.LastSeq, info.State.Msgs, err)
	_, err = js.Stream(ctx, "T")
	a.say("no such stream", err)
	consumer, err := js.OrderedConsumer(ctx, "S", jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{"s.1"}, DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: 1})
	a.say("consumer", err)
	got := make(chan string, 2)
	reading, err := consumer.Consume(func(m jetstream.Msg) {
		meta, err := m.Metadata()
		got <- fmt.Sprintln(m.Subject(), meta.Sequence, meta.NumPending, err)
	})
	a.say("reads", err, <-got, <-got)
	reading.Stop()
	<-reading.Closed()
}

func askLocks(server redis.UniversalClient) (out asked) {
	ctx := background
	one, err := lease.New(lease.Config{App: "app"}, server)
	out.say("locker", err)
	held, err := one.Try(ctx, 1, "one")
	out.say("taken", err)
	_, err = one.Try(ctx, 1, "one")
	out.say("taken again", errors.Is(err, lease.ErrTaken))
	out.say("another's value", one.Unlock(ctx, 1, "on"))
	ttl := server.PTTL(ctx, "app:lease:1").Val()
	out.say("time left", ttl > 9*time.Second, ttl <= 10*time.Second)
	out.say("unlocked", one.Unlock(ctx, 1, "one"))
	out.say("unlocked again", one.Unlock(ctx, 1, "one"))
	out.say("nothing left", server.PTTL(ctx, "app:lease:1").Val())
	out.say("released", held.Release(ctx))
	return out
}
