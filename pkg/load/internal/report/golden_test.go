package report

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/lockstep/pkg/internal/golden"
)

// A report is kept to be compared with later ones: all of it is read, and written again as it was.
func TestGoldenReport(t *testing.T) {
	const name = "report-2.json"
	kept := golden.Read(t, name)
	r, err := Read(filepath.Join("testdata", "golden", name))
	require.NoError(t, err)
	today, err := json.MarshalIndent(r, "", "  ")
	require.NoError(t, err)
	require.Equal(t, string(kept), string(today))
	require.NoError(t, r.WriteHTML(new(bytes.Buffer)))
}
