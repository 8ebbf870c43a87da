package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestGuarantees holds the names of tests in docs/guarantees.md, and in the pages that go with it, against the tests that there
// are. Those in verify count as found when the directory has been deleted.
func TestGuarantees(t *testing.T) {
	for document, least := range map[string]int{"docs/guarantees.md": 40, "docs/handlers.md": 10, "docs/parking.md": 10, "docs/why.md": 10} {
		t.Run(document, func(t *testing.T) { requireTests(t, document, least) })
	}
}

// requireTests fails t unless there are all the tests that a document names, which are so many at least.
func requireTests(t *testing.T, document string, least int) {
	const root = "../.."
	text, err := os.ReadFile(filepath.Join(root, document))
	require.NoError(t, err)
	named := regexp.MustCompile("`([a-z/]+)\\.((?:Test|Fuzz)[A-Z]\\w*)`").FindAllStringSubmatch(string(text), -1)
	all := regexp.MustCompile(`\b(?:Test|Fuzz)[A-Z]\w*\b`).FindAllString(regexp.MustCompile(`(?m)-run .*$`).ReplaceAllString(string(text), ""), -1)
	require.Len(t, named, len(all), "each test is named with its package, as in `pkg/consume.TestGaps`")
	require.GreaterOrEqual(t, len(named), least)
	_, err = os.Stat(filepath.Join(root, "verify"))
	deleted := errors.Is(err, fs.ErrNotExist)
	for _, n := range named {
		if deleted && strings.HasPrefix(n[1], "verify/") {
			continue
		}
		files, err := filepath.Glob(filepath.Join(root, n[1], "*_test.go"))
		require.NoError(t, err)
		require.NotEmpty(t, files, "no tests in %s", n[1])
		function := regexp.MustCompile(`(?m)^func ` + n[2] + `\(`)
		found := false
		for _, file := range files {
			source, err := os.ReadFile(file)
			require.NoError(t, err)
			found = found || function.Match(source)
		}
		require.True(t, found, "%s has no %s", n[1], n[2])
	}
}
