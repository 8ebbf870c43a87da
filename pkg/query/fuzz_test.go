package query

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"example.com/lockstep/pkg/aside"
	"example.com/lockstep/pkg/ring"
	"example.com/lockstep/pkg/store"
	"example.com/lockstep/pkg/testkit"
	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"github.com/stretchr/testify/require"
)

// asked is a request, and keeps its answer.
type asked struct {
	micro.Request
	body    []byte
	answers int
	code    string
	reply   []byte
}

func (a *asked) Data() []byte  { return a.body }
func (a *asked) Reply() string { return "" }

func (a *asked) Respond(b []byte, _ ...micro.RespondOpt) error {
	a.answers++
	a.reply = bytes.Clone(b)
	return nil
}

func (a *asked) RespondJSON(v any, _ ...micro.RespondOpt) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return a.Respond(b)
}

func (a *asked) Error(code, description string, _ []byte, _ ...micro.RespondOpt) error {
	a.answers++
	a.code = code
	if code == "" || description == "" {
		return errors.New("micro refuses that")
	}
	return nil
}

// fullStore has a state for every key, and counts what is asked of it.
type fullStore struct {
	store.Store
	keys int
}

func (s *fullStore) States(_ context.Context, _ int, keys []string) (states, heads [][]byte, err error) {
	s.keys += len(keys)
	for _, k := range keys {
		states = append(states, store.Envelope{Codec: store.CodecJSON, Schema: 1, Data: []byte(k)}.Append(store.Proof{Count: 2, Chain: 0xff}.Append(nil)))
		heads = append(heads, (&aside.Head{First: 3, Next: 5, Status: aside.Parked}).Append(nil))
	}
	return states, heads, nil
}

func (s *fullStore) Shards(_ context.Context, n int) ([]store.Shard, error) {
	out := make([]store.Shard, n)
	for i := range out {
		out[i] = store.Shard{Fence: 3, Position: store.Position{Epoch: 1, Seq: 7, Time: time.Unix(0, 1)}}
	}
	return out, nil
}

// ringOf is that of the shards 0 to n-1.
func ringOf(t testing.TB, n int) *ring.Ring {
	r, err := topology.Epoch{Epoch: 1, Shards: n, Lanes: 1}.Ring()
	require.NoError(t, err)
	return r
}

// FuzzRequest is anybody's `nats req`: it gets one answer, and the store is asked for no more than is allowed.
func FuzzRequest(f *testing.F) {
	for _, r := range []request{{Keys: []string{"a", "ключ", "\x01"}}, {Positions: true}, {Keys: []string{"a"}, Positions: true}, {}} {
		b, err := json.Marshal(r)
		require.NoError(f, err)
		f.Add(b)
	}
	f.Add([]byte(`{"keys":[` + strings.Repeat(`"",`, MaxKeys) + `""]}`))
	f.Add([]byte(`{"keys":"a"}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		const shards, limit = 3, 4096
		a, s := &asked{body: body}, new(fullStore)
		answer(t.Context(), a, s, ringOf(t, shards), limit)
		require.Equal(t, 1, a.answers)
		require.LessOrEqual(t, s.keys, MaxKeys)
		if a.code != "" {
			require.Contains(t, []string{"400", codeTooLarge}, a.code)
			return
		}
		require.LessOrEqual(t, len(a.reply), limit)
		var req request
		require.NoError(t, json.Unmarshal(body, &req))
		var out reply
		require.NoError(t, json.Unmarshal(a.reply, &out))
		require.Len(t, out.States, len(req.Keys))
		for i, st := range out.States {
			require.Equal(t, req.Keys[i], st.Key)
			require.Equal(t, st.Key, string(st.Data))
			require.True(t, st.Found)
			require.Equal(t, uint64(2), st.Count)
			require.Equal(t, "00000000000000ff", st.Chain)
			require.Equal(t, uint64(2), st.SetAside)
			require.True(t, st.Parked)
		}
		require.Equal(t, req.Positions, len(out.Positions) == shards)
	})
}

func FuzzPauseRequest(f *testing.F) {
	for _, ms := range []int64{0, 1, MaxPause.Milliseconds(), MaxPause.Milliseconds() + 1, -1, 1<<63 - 1} {
		b, err := json.Marshal(pauseRequest{ForMS: &ms})
		require.NoError(f, err)
		f.Add(b)
	}
	f.Add([]byte(`{"for_ms":null}`))
	f.Add([]byte(`{"for_ms":1.5}`))
	f.Add([]byte(`{"FOR_MS":5,"for_ms":6}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		told := time.Duration(-1)
		s := &Server{pause: func(d time.Duration, _ string) { told = d }, status: func() Worker { return Worker{ID: "a"} }}
		a := &asked{body: body}
		s.answerPause(a)
		require.Equal(t, 1, a.answers)
		if a.code != "" {
			require.Equal(t, "400", a.code)
			require.Equal(t, time.Duration(-1), told, "nothing else happens")
			return
		}
		require.LessOrEqual(t, told, MaxPause)
		require.GreaterOrEqual(t, told, time.Duration(0))
		ms := Milliseconds(told)
		again, err := json.Marshal(pauseRequest{ForMS: &ms})
		require.NoError(t, err)
		back, _, err := readPause(again)
		require.NoError(t, err)
		require.Equal(t, told, back)
	})
}

// FuzzReply gives a client any answer.
func FuzzReply(f *testing.F) {
	srv := testkit.NATS(f)
	var says atomic.Pointer[nats.Msg]
	respond := func(m *nats.Msg) { _ = m.RespondMsg(&nats.Msg{Header: says.Load().Header, Data: says.Load().Data}) }
	for _, what := range []string{"query", "status"} {
		_, err := srv.Conn.Subscribe(topology.ControlSubject("app", what), respond)
		require.NoError(f, err)
	}
	require.NoError(f, srv.Conn.Flush())
	c := NewClient(srv.Conn, "app")

	valid, err := json.Marshal(reply{
		States:    []State{{Key: "a", Found: true, Codec: 1, Schema: 2, Data: []byte("x")}, {Key: "b"}},
		Positions: []Position{{Shard: 1, Fence: 2, Epoch: 1, Seq: 3, Time: time.Unix(7, 8).UTC()}},
	})
	require.NoError(f, err)
	f.Add(valid, "")
	status, err := json.Marshal(Worker{ID: "a", Name: "one", Shards: []ShardStatus{{Shard: 3}, {Shard: 1, State: "running"}}, PausedMS: 5})
	require.NoError(f, err)
	f.Add(status, "")
	f.Add([]byte(nil), codeTooLarge)
	f.Add([]byte(nil), "500")
	f.Add([]byte(`{"states":[null,null],"positions":null}`), "")
	f.Add([]byte(`{"states":[{"data":"!"}]}`), "")
	f.Fuzz(func(t *testing.T, b []byte, code string) {
		if len(b) > 1<<19 || len(code) > 1<<10 { // no message
			return
		}
		var header nats.Header
		if code = strings.Map(func(r rune) rune { return max(r, ' ') }, code); strings.TrimSpace(code) != "" {
			header = nats.Header{micro.ErrorCodeHeader: {code}, micro.ErrorHeader: {"no"}}
		}
		says.Store(&nats.Msg{Header: header, Data: b})
		keys := []string{"a", "b"}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		states, err := c.States(ctx, keys)
		if err != nil {
			require.ErrorContains(t, err, "query states: ")
			require.Nil(t, states)
		} else {
			require.Nil(t, header)
			require.Len(t, states, len(keys))
		}
		if positions, err := c.Positions(ctx); err != nil {
			require.ErrorContains(t, err, "query positions: ")
		} else {
			require.LessOrEqual(t, len(positions)*2, len(b))
		}
		workers, err := c.Status(ctx, time.Millisecond)
		require.True(t, err != nil || len(workers) <= 1)
		for _, w := range workers {
			require.True(t, slices.IsSortedFunc(w.Shards, func(a, b ShardStatus) int { return a.Shard - b.Shard }))
		}
	})
}
