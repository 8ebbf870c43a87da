package testkit

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// longVariable tells the tests that they have the time: `go tool task test:long` sets it.
const longVariable = "LOCKSTEP_TEST_LONG"

// Long says that a test takes minutes. Such a test has a name that begins with TestLong, by which test:long finds it, and
// does not run otherwise; `test` names it among those that did not run.
func Long(t testing.TB) {
	t.Helper()
	require.True(t, strings.HasPrefix(t.Name(), "TestLong"), "test:long finds no test of this name")
	if os.Getenv(longVariable) == "" {
		t.Skip("takes minutes: go tool task test:long runs it")
	}
}
