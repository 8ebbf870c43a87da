package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/lockstep/deployments/local/programs"
)

// TestConfigurationOfTheDocuments requires that docs/configuration.md has, of each program in it, what the program itself prints. A
// service that a fork has added need not be there.
func TestConfigurationOfTheDocuments(t *testing.T) {
	text, err := os.ReadFile("../../docs/configuration.md")
	require.NoError(t, err)
	bin := programs.Build(t)
	heads := regexp.MustCompile("(?m)^## `(.*)`$").FindAllSubmatchIndex(text, -1)
	require.NotEmpty(t, heads)
	for i, head := range heads {
		name, end := string(text[head[2]:head[3]]), len(text)
		if i+1 < len(heads) {
			end = heads[i+1][0]
		}
		cmd := exec.Command(filepath.Join(bin, name), "configuration")
		cmd.Dir = t.TempDir()
		printed, err := cmd.Output()
		require.NoError(t, err, "the page has a program %s: run `go tool task docs`", name)
		require.Equal(t, string(printed)+"\n", string(text[head[0]:end]), "of %s: run `go tool task docs`", name)
	}
}
