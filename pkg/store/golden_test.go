package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/lockstep/pkg/internal/golden"
	"example.com/lockstep/pkg/store"
)

// The state of a key, with its proof and the envelope around what the handler made.
func TestGoldenState(t *testing.T) {
	proof := store.Proof{Dropped: 2}.Apply([]byte(`{"amount":5}`)).Apply([]byte("7"))
	want := store.Envelope{Codec: store.CodecJSON, Schema: 300, Data: []byte(`{"balance":12}`)}
	p, envelope, err := store.SplitState(golden.Check(t, "state.hex", want.Append(proof.Append(nil))))
	require.NoError(t, err)
	require.Equal(t, proof, p)
	got, err := store.DecodeEnvelope(envelope)
	require.NoError(t, err)
	require.Equal(t, want, got)
}

func TestGoldenPosition(t *testing.T) {
	want := store.Position{Epoch: 2, Seq: 77, Time: time.Unix(0, 1_700_000_000_123_456_789)}
	got, err := store.ParsePosition(string(golden.Check(t, "position.txt", []byte(want.String()))))
	require.NoError(t, err)
	require.Equal(t, want, got)
}
