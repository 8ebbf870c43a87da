package service

import (
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestShellQuote(t *testing.T) {
	for in, want := range map[string]string{
		"": "''", ".stack": ".stack", "/tmp/a-b_c": "/tmp/a-b_c", "a b": "'a b'", "$HOME": "'$HOME'", "it's": `'it'\''s'`, "~/x": "'~/x'",
	} {
		require.Equal(t, want, ShellQuote(in))
	}
}

// A shell reads a quoted word as the original.
func TestShellsReadQuotedWords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.StringMatching("[a-z $`'\"\\\\*?~!#;&|<>(){}\\n]{0,12}").Draw(t, "word")
		out, err := exec.Command("sh", "-c", "printf %s "+ShellQuote(word)).Output()
		require.NoError(t, err)
		require.Equal(t, word, string(out))
	})
}
