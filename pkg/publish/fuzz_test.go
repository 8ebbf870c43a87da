package publish

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Whatever comes to the inbox is read as the answer to one attempt, or not at all.
func FuzzParseReply(f *testing.F) {
	p := &Publisher{inbox: "_INBOX.x"}
	for _, s := range []string{"", "-", "1", "1-2", "0-1", "1-2-3", "+1-+2", "1--2", "18446744073709551616-1", "1-9223372036854775808"} {
		f.Add(s)
	}
	f.Add(strings.TrimPrefix(p.replyTo(1<<64-1, math.MaxInt), p.inbox+"."))
	f.Fuzz(func(t *testing.T, s string) {
		id, attempt, err := parseReply(s)
		if err != nil {
			return
		}
		again, n, err := parseReply(strings.TrimPrefix(p.replyTo(id, attempt), p.inbox+"."))
		require.NoError(t, err)
		require.Equal(t, id, again)
		require.Equal(t, attempt, n)
	})
}
