package consume

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// The schedule does as a plain map that is searched whole.
func TestScheduleAgainstAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s schedule
		want := make(map[string]time.Time)
		for range rapid.IntRange(0, 100).Draw(t, "steps") {
			key := fmt.Sprint(rapid.IntRange(0, 9).Draw(t, "key"))
			switch rapid.IntRange(0, 2).Draw(t, "step") {
			case 0, 1:
				due := time.Unix(rapid.Int64Range(0, 20).Draw(t, "due"), 0)
				s.set(key, due)
				want[key] = due
			case 2:
				s.remove(key)
				delete(want, key)
			}
			key, due, ok := s.next()
			require.Equal(t, len(want) > 0, ok)
			if !ok {
				continue
			}
			require.Equal(t, want[key], due)
			for _, other := range want {
				require.False(t, other.Before(due))
			}
		}
	})
}
