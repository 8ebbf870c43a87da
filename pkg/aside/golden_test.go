package aside_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/lockstep/pkg/aside"
	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/internal/golden"
)

// A parked key's list waits for an operator for as long as it takes.
func TestGoldenHead(t *testing.T) {
	want := aside.Head{
		First: 3, Next: 300, Bytes: 70_000, Status: aside.Parked, Attempts: 5, Error: "event has no amount",
		Began: time.Unix(1_700_000_000, 1), Last: time.Unix(1_700_000_009, 2), Mark: aside.Mark{Op: aside.Retry, Until: 100},
		Commands: []aside.Command{{Op: aside.Drop, First: "id-1", Last: "id-2", Count: 2}},
	}
	got, err := aside.DecodeHead(golden.Check(t, "head.hex", want.Append(nil)))
	require.NoError(t, err)
	require.Equal(t, want, got)
}

func TestGoldenEvents(t *testing.T) {
	publisher := frame.PublisherID{0xff, 1, 2, 3}
	for name, want := range map[string]aside.Event{
		"event-framed.hex": {
			ID: publisher.String() + "-300", Type: "deposit", Data: []byte(`{"amount":5}`), Headers: map[string]string{"b": "2", "a": "1"},
			Time: time.Unix(1_700_000_000, 1), Publisher: publisher, Generation: 2, Seq: 300, Receipt: true,
		},
		"event-plain.hex": {ID: "order-17", Data: []byte("5"), Time: time.Unix(1_700_000_000, 1), Seq: 12},
	} {
		got, err := aside.DecodeEvent(golden.Check(t, name, want.Append(nil)))
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
}
