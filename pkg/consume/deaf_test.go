package consume

import (
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// deafFor bounds for how long events may wait: far above the 1 to 1.2 s that a shard, and a watch, waits for its consumer,
// far below the 10 s and more of the client library's watches.
const deafFor = 5 * time.Second

// Each kind of consumer that workers have is deleted under load, and then all of them.
func TestConsumersThatAreDeletedUnderLoad(t *testing.T) {
	r := newRig(t, 4)
	w := r.worker()
	require.NoError(t, w.Start(background))
	send := func() {
		for shard := range r.shards {
			r.send(shard, "a"+string(rune('0'+shard)))
		}
	}
	send()
	r.applied()
	kinds := map[string][]string{
		"logs": {r.stream()}, "members": {"KV_app_members"}, "claims": {"KV_app_claims"},
		"all": {r.stream(), "KV_app_members", "KV_app_claims"},
	}
	for kind, streams := range kinds {
		t.Run(kind, func(t *testing.T) {
			for range 10 {
				send()
			}
			for _, stream := range streams {
				r.killConsumers(stream)
			}
			begun := time.Now()
			send()
			r.applied()
			t.Logf("all applied after %s", time.Since(begun).Round(time.Millisecond))
			require.Less(t, time.Since(begun), deafFor)

			// Another worker gets its share, and gives it back: both hear of it.
			second := r.worker()
			require.NoError(t, second.Start(background))
			eventually(t, func() bool { return w.Ready() == nil && second.Ready() == nil }, "settled")
			require.Less(t, time.Since(begun), 2*deafFor)
			require.NoError(t, second.Stop(background))
			eventually(t, func() bool { return w.Ready() == nil }, "settled")
			send()
			r.applied()
		})
	}
}

// killConsumers deletes the consumers that a stream has, once it has any: a watch may still be without the last one deleted.
func (r *rig) killConsumers(stream string) {
	r.t.Helper()
	s, err := r.js.Stream(background, stream)
	require.NoError(r.t, err)
	killed := 0
	eventually(r.t, func() bool {
		list := s.ConsumerNames(background)
		for name := range list.Name() {
			if err := s.DeleteConsumer(background, name); !errors.Is(err, jetstream.ErrConsumerNotFound) { // which its user has just deleted
				require.NoError(r.t, err)
				killed++
			}
		}
		return list.Err() == nil && killed > 0
	}, "stream %s has no consumer", stream)
}
