package report

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// pagesDir keeps the pages, to look at them: go test ./internal/report -run TestPages -pages=/tmp/pages
var pagesDir = flag.String("pages", "", "keep the pages that the tests make in this folder")

func TestPages(t *testing.T) {
	for name, r := range samples() {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			require.NoError(t, r.WriteHTML(&out))
			if *pagesDir != "" {
				require.NoError(t, os.MkdirAll(*pagesDir, 0o755))
				require.NoError(t, os.WriteFile(filepath.Join(*pagesDir, strings.ReplaceAll(name, " ", "-")+".html"), []byte(out.String()), 0o644))
			}
		})
	}
}
