package consume

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestKeysInLogLines(t *testing.T) {
	for key, want := range map[string]string{
		"order-7":                  "order-7",
		"größe":                    "größe",
		"a\nb\x00":                 `a\nb\x00`,
		"\xff\xfe":                 `\xff\xfe`,
		strings.Repeat("x", 64):    strings.Repeat("x", 64),
		strings.Repeat("x", 65):    strings.Repeat("x", 64) + "...",
		strings.Repeat("é", 40):    strings.Repeat("é", 32) + "...",
		strings.Repeat("\x00", 20): strings.Repeat(`\x00`, 16) + "...",
	} {
		require.Equal(t, want, printableKey(key).Value.String(), "%q", key)
	}
	require.Equal(t, "44bc2cf5ad770999", keyHash("abc").Value.String(), "xxhash64, as other programs compute it")
}
