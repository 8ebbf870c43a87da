package worker_test

import (
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// The defaults in docs/handlers.md are those of the program.
func TestFlagsOfTheHandlersPage(t *testing.T) {
	text, err := os.ReadFile("../../docs/handlers.md")
	require.NoError(t, err)
	cmd, stderr := command(t, "run", "--help")
	help, err := cmd.Output()
	require.NoError(t, err, stderr)
	rows := regexp.MustCompile("(?m)^\\| `--([a-z-]+)` \\| `([0-9a-z]+)` \\|").FindAllSubmatch(text, -1)
	require.GreaterOrEqual(t, len(rows), 8)
	for _, row := range rows {
		require.Regexp(t, `(?m)^ +--`+string(row[1])+`=`+string(row[2])+` `, string(help))
	}
}
