package permit

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// stored is an entry of the bucket as the server sends it.
type stored struct {
	jetstream.KeyValueEntry
	value []byte
	op    jetstream.KeyValueOp
}

func (e stored) Value() []byte                   { return e.value }
func (e stored) Operation() jetstream.KeyValueOp { return e.op }
func (e stored) Created() time.Time              { return time.Unix(1_700_000_000, 0) }

// FuzzEntry delivers any entry of any router: only the renewal that a router has just sent makes its permit valid.
func FuzzEntry(f *testing.F) {
	me, another := topology.PermitKey("me"), topology.PermitKey("another")
	for _, renewal := range []uint64{0, 1, 2, 3, 1<<64 - 1} {
		b, err := json.Marshal(entry{Schema: entrySchema, Renewal: renewal, Epoch: 1})
		require.NoError(f, err)
		f.Add(me, b, true)
		f.Add(another, b, true)
		f.Add(me, b, false)
	}
	f.Add(me, []byte(`{"renewal":2.0}`), true)
	f.Fuzz(func(t *testing.T, key string, value []byte, put bool) {
		p := newPermit(nil, "me", quiet)
		const sent = 2
		p.sent[sent] = p.now()
		e := stored{value: value, op: jetstream.KeyValueDelete}
		if put {
			e.op = jetstream.KeyValuePut
		}
		router := strings.TrimPrefix(key, topology.PermitKey(""))
		p.Delivered(router, e)
		p.Delivered(router, e) // once more, as after a reconnect
		var v entry
		term, valid := p.Valid()
		require.Equal(t, put && router == "me" && json.Unmarshal(value, &v) == nil && v.Renewal == sent, valid)
		if valid {
			require.EqualValues(t, 1, term)
		}
	})
}
