package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Each refusal is one line, and leaves the fork as it was.
func TestUpdateRefusesMore(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(s *scene)
		says    string
	}{
		"no FROM":         {func(s *scene) { s.template = "" }, "want FROM="},
		"no directory":    {func(s *scene) { s.template = filepath.Join(s.template, "none") }, "is no checkout of the template"},
		"no checkout":     {func(s *scene) { s.template = s.TempDir() }, "is no checkout of the template"},
		"the fork itself": {func(s *scene) { s.template = s.fork }, "is the fork itself"},
		"a changed file":  {func(s *scene) { s.write(s.fork, map[string]string{"README.md": "# Ours\n"}) }, "1 files have changes that are not committed"},
		"a new file":      {func(s *scene) { s.write(s.fork, map[string]string{"new.txt": "new\n"}) }, "the first is new.txt; commit them"},
		"no record":       {func(s *scene) { s.change(s.fork, map[string]string{".template.json": ""}) }, "only a copy that was made with go tool task fork can be updated"},
		"a shallow clone": {func(s *scene) {
			shallow := s.TempDir()
			s.git(shallow, "clone", "--quiet", "--depth=1", "file://"+s.template, ".")
			s.template = shallow
		}, "is a shallow clone, whose history ends early; run: git -C "},
		"another repository": {func(s *scene) {
			s.template = s.TempDir()
			s.change(s.template, map[string]string{"a.txt": "a\n"})
		}, "has no commit with the files that were forked"},
		"no template any more": {func(s *scene) { s.change(s.template, map[string]string{"pkg": ""}) }, "FROM: read the module's path"},
		"an older template": {func(s *scene) {
			s.update()
			s.commit(s.fork)
			s.git(s.template, "checkout", "--quiet", "HEAD~1")
		}, "has no commit with the files that were forked"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, true)
			s.change(s.template, map[string]string{"docs/why.md": "# Why?\n"})
			c.prepare(&s)
			before := s.git(s.fork, "status", "--porcelain")
			err := run(s.fork, []string{s.template}, new(strings.Builder))
			require.ErrorContains(t, err, c.says)
			require.NotContains(t, err.Error(), "\n")
			require.Equal(t, before, s.git(s.fork, "status", "--porcelain"))
		})
	}
}

func TestChangesInTheCheckoutAreNotTaken(t *testing.T) {
	s := newScene(t, true)
	s.change(s.template, map[string]string{"docs/new.md": "# New\n"})
	s.write(s.template, map[string]string{"docs/why.md": "# Why?\n"})
	require.Contains(t, s.update(), "Changes there that are not committed are not taken")
	require.Equal(t, small["docs/why.md"], s.read(s.fork, "docs/why.md"))
}
