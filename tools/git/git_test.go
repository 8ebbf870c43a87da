package git

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestVersion(t *testing.T) {
	for _, says := range []string{"git version 2.34.0", "git version 2.39.5 (Apple Git-154)", "git version 2.100.0.windows.1", "git version 3.0.0"} {
		require.NoError(t, newer(says, 2, 34), says)
	}
	require.EqualError(t, newer("git version 2.33.8", 2, 34), "git is 2.33: install 2.34 or newer")
	require.EqualError(t, newer("git version 1.99.0", 2, 34), "git is 1.99: install 2.34 or newer")
	require.Error(t, newer("hub version 2.99", 2, 34))
	require.NoError(t, AtLeast(2, 34), "this machine's")
}
