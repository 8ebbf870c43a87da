package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// documents are the texts for people, by their path from the root.
func documents(t *testing.T) map[string]string {
	out := make(map[string]string)
	for _, pattern := range []string{"README.md", "docs/*.md"} {
		paths, err := filepath.Glob(filepath.Join("../..", pattern))
		require.NoError(t, err)
		for _, path := range paths {
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			name, err := filepath.Rel("../..", path)
			require.NoError(t, err)
			out[name] = string(text)
		}
	}
	require.GreaterOrEqual(t, len(out), 8)
	return out
}

// TestLinksOfTheDocuments requires that every link within the repository leads to a file, and to a heading of it.
func TestLinksOfTheDocuments(t *testing.T) {
	all := documents(t)
	links := 0
	for name, text := range all {
		for _, link := range regexp.MustCompile(`\]\(([^):]+)\)`).FindAllStringSubmatch(text, -1) {
			links++
			path, heading, _ := strings.Cut(link[1], "#")
			target := name
			if path != "" {
				target = filepath.Join(filepath.Dir(name), path)
			}
			if top, _, _ := strings.Cut(target, "/"); deleted(t, top) {
				continue
			}
			_, err := os.Stat(filepath.Join("../..", target))
			require.NoError(t, err, "%s links to %s", name, link[1])
			if heading != "" {
				require.Contains(t, anchors(all[target]), heading, "%s links to %s", name, link[1])
			}
		}
	}
	require.Greater(t, links, 40)
}

// anchors are how links name the headings of a document.
func anchors(text string) (out []string) {
	for _, heading := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1) {
		anchor := regexp.MustCompile(`[^a-z0-9 _-]`).ReplaceAllString(strings.ToLower(heading[1]), "")
		out = append(out, strings.ReplaceAll(anchor, " ", "-"))
	}
	return out
}

// TestMetricsOfTheDocuments requires that there is every metric which a document names.
func TestMetricsOfTheDocuments(t *testing.T) {
	source := sources(t)
	named := 0
	for name, text := range documents(t) {
		for _, metric := range regexp.MustCompile("`(?:<app>|\\.\\.\\.)_((?:worker|router|producer)_[a-z_]+)`").FindAllStringSubmatch(text, -1) {
			named++
			_, short, _ := strings.Cut(metric[1], "_")
			require.True(t, strings.Contains(source, `"`+short+`"`), "%s names the metric %s", name, metric[1])
		}
	}
	require.Greater(t, named, 8)
}

// sources are the programs' Go files, without tests, as one text.
func sources(t *testing.T) string {
	var all strings.Builder
	for _, dir := range []string{"pkg", "services"} {
		require.NoError(t, filepath.WalkDir(filepath.Join("../..", dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			all.Write(text)
			return err
		}))
	}
	return all.String()
}
