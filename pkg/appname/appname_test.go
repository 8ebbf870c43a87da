package appname

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCheck(t *testing.T) {
	for _, app := range []string{"a", Default, "a-1", "a" + strings.Repeat("9", 30)} {
		require.NoError(t, Check(app))
	}
	for _, app := range []string{"", "A", "1a", "-a", "a.b", "a_b", "a b", "a*", "a>", "ä", "a\n", "a" + strings.Repeat("9", 31)} {
		require.ErrorContains(t, Check(app), "want a letter a-z, then at most 30", "%q", app)
	}
}
