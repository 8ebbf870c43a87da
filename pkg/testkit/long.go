package testkit

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// lengthVariable tells the tests how much time they have: `go tool task test:long` sets it.
const lengthVariable = "TESTKIT_LENGTH"

// full is the length from which on every long test runs.
const full = 10

// Long says that a test takes minutes. Such a test has a name that begins with TestLong, by which `go tool task test:long`
// finds it, and is skipped in any other run. Counts of histories grow in proportion to the length that Long returns: 1 is
// the short form, full the full one.
func Long(t testing.TB) (length int) {
	t.Helper()
	require.True(t, strings.HasPrefix(t.Name(), "TestLong"), "test:long finds no test of this name")
	set := os.Getenv(lengthVariable)
	if set == "" {
		t.Skip("takes minutes: go tool task test:long runs it")
	}
	length, err := strconv.Atoi(set)
	require.NoError(t, err, "%s=%q: want a number from 1 on", lengthVariable, set)
	require.Positive(t, length, "%s=%q: want a number from 1 on", lengthVariable, set)
	return length
}

// Full is Long for a test that has no short form.
func Full(t testing.TB) {
	t.Helper()
	if Long(t) < full {
		t.Skipf("has no short form: go tool task test:long LENGTH=%d runs it", full)
	}
}
