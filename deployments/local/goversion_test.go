package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// namesGo are the ways in which files name a version of Go: as 1.26, with or without a third number.
var namesGo = []*regexp.Regexp{
	regexp.MustCompile(`(?:^|[^\w.-])(?:[Gg]o|GO) ?(1\.\d+(?:\.\d+)?)`),
	regexp.MustCompile(`golang[:@](1\.\d+(?:\.\d+)?)`),                                          // an image
	regexp.MustCompile(`go-version:\s*['"]?(1\.\d+(?:\.\d+)?)`),                                 // a workflow
	regexp.MustCompile(`devcontainers/go:(?:\d+(?:\.\d+)*-)?(1\.\d+(?:\.\d+)?)`),                // an image for editors
	regexp.MustCompile(`features/go:[^}]*"version":\s*"(1\.\d+(?:\.\d+)?)`),                     // a part of one
	regexp.MustCompile(`(?m)^(?:ARG|ENV)\s+GO_?VERSION[= ](1\.\d+(?:\.\d+)?)|^golang (1\.\d+)`), // a Dockerfile; .tool-versions
}

// TestOneVersionOfGo requires that every place which names a version of Go names that of go.work: each go.mod the same to the
// last number, all others the same release. Older ones in prose, and those in tests of tools, are not looked at.
func TestOneVersionOfGo(t *testing.T) {
	work, err := os.ReadFile("../../go.work")
	require.NoError(t, err)
	m := regexp.MustCompile(`(?m)^go (1\.\d+)(\.\d+)$`).FindStringSubmatch(string(work))
	require.NotNil(t, m, "go.work must have a line like: go 1.26.0")
	require.NotContains(t, string(work), "\ntoolchain ", "go.work names one version, not two")
	release, exact := m[1], m[1]+m[2]
	modules, others := 0, 0
	for path, text := range filesThatNameGo(t) {
		if filepath.Base(path) == "go.mod" {
			modules++
			require.Contains(t, text, "\ngo "+exact+"\n", "%s: go.work has Go %s", path, exact)
			require.NotContains(t, text, "\ntoolchain ", "%s: go.work has Go %s", path, exact)
			continue
		}
		for _, named := range versionsOfGo(text) {
			others++
			require.True(t, named == release || strings.HasPrefix(named, release+"."), "%s names Go %s, and go.work %s", path, named, exact)
		}
	}
	require.GreaterOrEqual(t, modules, 6)
	require.GreaterOrEqual(t, others, 1, "the README says which Go one needs")
}

func TestVersionsOfGoAreFound(t *testing.T) {
	for text, want := range map[string][]string{
		"You need Go 1.26, and nothing else.":                        {"1.26"},
		"| Go | go1.26.8 |":                                          {"1.26.8"},
		"FROM golang:1.25-alpine AS build":                           {"1.25"},
		"        go-version: '1.24.x'":                               {"1.24"},
		`"image": "mcr/devcontainers/go:1-1.23-bookworm"`:            {"1.23"},
		`"ghcr.io/features/go:1": { "version": "1.22" }`:             {"1.22"},
		"a\nARG GO_VERSION=1.21.3\n":                                 {"1.21.3"},
		"golang 1.20":                                                {"1.20"},
		"go-redis/v9, redsync 1.2 and Django 1.11, algo 1.5, go-1.3": nil,
	} {
		require.Equal(t, want, versionsOfGo(text), text)
	}
}

// versionsOfGo returns the versions of Go that a text names.
func versionsOfGo(text string) (named []string) {
	for _, way := range namesGo {
		for _, m := range way.FindAllStringSubmatch(text, -1) {
			named = append(named, strings.Join(m[1:], ""))
		}
	}
	return named
}

// filesThatNameGo are the repository's files, by their path, that may name a version of Go.
func filesThatNameGo(t *testing.T) map[string]string {
	t.Helper()
	const root = "../.."
	out := make(map[string]string)
	require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			if slices.Contains([]string{".git", "bin", ".stack", "testdata", "node_modules"}, d.Name()) {
				return fs.SkipDir
			}
			return nil
		}
		if !mayNameGo(filepath.ToSlash(rel)) {
			return nil
		}
		text, err := os.ReadFile(path)
		out[rel] = string(text)
		return err
	}))
	return out
}

// mayNameGo tells whether a file is looked at.
func mayNameGo(path string) bool {
	name := filepath.Base(path)
	switch {
	case path == "CHANGELOG.md": // tells of the past
		return false
	case path == "verify/sim/runtime_test.go": // is written for one version
		return true
	case strings.HasSuffix(name, ".go"):
		return !strings.HasSuffix(name, "_test.go")
	}
	return slices.Contains([]string{"go.mod", ".tool-versions", ".go-version", "run"}, name) ||
		slices.Contains([]string{".md", ".yml", ".yaml", ".json", ".toml", ".Dockerfile", ".sh"}, filepath.Ext(name)) || strings.HasPrefix(name, "Dockerfile")
}
