package query_test

import (
	"encoding/json"
	"testing"

	"example.com/lockstep/pkg/query"
	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nats.go/micro"
	"github.com/stretchr/testify/require"
)

// A worker is a micro service to tools that know of these only.
func TestServerIsAMicroService(t *testing.T) {
	r := newRig(t)
	s := r.serve(t, 1, query.Worker{})
	ask := func(verb micro.Verb, name, id string, into any) {
		subject, err := micro.ControlSubject(verb, name, id)
		require.NoError(t, err)
		m, err := r.nats.Conn.Request(subject, nil, wait)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(m.Data, into))
	}
	var ping micro.Ping
	ask(micro.PingVerb, "", "", &ping)
	require.Equal(t, "app-worker", ping.Name)
	require.Equal(t, micro.PingResponseType, ping.Type)
	var info micro.Info
	ask(micro.InfoVerb, "app-worker", "", &info)
	require.Equal(t, ping.ServiceIdentity, info.ServiceIdentity)
	require.Equal(t, []micro.EndpointInfo{
		{Name: "query", Subject: "app.ctl.query", QueueGroup: "query"},
		{Name: "query.any", Subject: "app.ctl.query.any"},
		{Name: "status", Subject: "app.ctl.status"},
		{Name: "pause", Subject: "app.ctl.pause"},
		{Name: "parked.list", Subject: "app.ctl.parked.list", QueueGroup: "query"},
		{Name: "parked.list.any", Subject: "app.ctl.parked.list.any"},
		{Name: "parked.show", Subject: "app.ctl.parked.show", QueueGroup: "query"},
		{Name: "parked.show.any", Subject: "app.ctl.parked.show.any"},
		{Name: "parked.raise", Subject: "app.ctl.parked.raise"},
		{Name: "parked.drop", Subject: "app.ctl.parked.drop"},
	}, info.Endpoints)

	_, err := r.client.States(limit(t), []string{"a"})
	require.NoError(t, err)
	_, err = r.nats.Conn.Request("app.ctl.query", nil, wait)
	require.NoError(t, err)
	var stats micro.Stats
	for ctx := limit(t); ; stats = (micro.Stats{}) { // a request is counted after its answer
		ask(micro.StatsVerb, "app-worker", info.ID, &stats)
		require.Len(t, stats.Endpoints, 10)
		if stats.Endpoints[0].NumRequests == 2 {
			break
		}
		require.NoError(t, ctx.Err())
	}
	require.Equal(t, 1, stats.Endpoints[0].NumErrors)
	require.Contains(t, stats.Endpoints[0].LastError, "400:not a query")
	require.Positive(t, stats.Endpoints[0].ProcessingTime)

	require.NoError(t, s.Stop(limit(t)))
	_, err = r.nats.Conn.Request("$SRV.PING", nil, wait)
	require.ErrorIs(t, err, nats.ErrNoResponders)
}

// A request names where its answer goes, and may not make a worker write to JetStream or to the app's own subjects.
func TestAnswersGoNowhereButToClients(t *testing.T) {
	r := newRig(t)
	js, err := jetstream.New(r.nats.Conn)
	require.NoError(t, err)
	kv, err := js.CreateKeyValue(limit(t), jetstream.KeyValueConfig{Bucket: "app_topology"})
	require.NoError(t, err)
	_, err = js.CreateStream(limit(t), jetstream.StreamConfig{Name: "APP_1_0", Subjects: []string{"app.work.1.0.*"}})
	require.NoError(t, err)
	r.serve(t, 1, query.Worker{})
	for _, subject := range []string{
		"$SRV.PING", "$SRV.INFO", "$SRV.STATS", "$SRV.PING.app-worker",
		topology.ControlSubject("app", "query"), topology.ControlSubject("app", "status"), topology.ControlSubject("app", "pause"),
	} {
		for _, body := range []string{"", `{"positions":true}`, `{"for_ms":0}`} {
			for _, reply := range []string{"$KV.app_topology.topology", "app.work.1.0.2", "$JS.API.STREAM.PURGE.APP_1_0"} {
				require.NoError(t, r.nats.Conn.PublishRequest(subject, reply, []byte(body)))
			}
		}
		_, err = r.nats.Conn.Request(subject, nil, wait) // behind them
		require.NoError(t, err)
	}
	rev, err := kv.Put(limit(t), "behind", nil)
	require.NoError(t, err)
	require.EqualValues(t, 1, rev)
	ack, err := js.Publish(limit(t), "app.work.1.0.0", nil)
	require.NoError(t, err)
	require.EqualValues(t, 1, ack.Sequence)
}
