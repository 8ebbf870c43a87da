package servicefile

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWrittenListsAreRead(t *testing.T) {
	file := filepath.Join(t.TempDir(), "services.json")
	services := []Service{{"router", KindRouter, ""}, {"shop", KindWorker, "shop"}, {"front", KindAPI, "shop"}, {"feed", KindProducer, "bank"}}
	require.NoError(t, Write(file, services))
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, `[
  {"name":"router","kind":"router","app":""},
  {"name":"shop","kind":"worker","app":"shop"},
  {"name":"front","kind":"api","app":"shop"},
  {"name":"feed","kind":"producer","app":"bank"}
]
`, string(text))
	read, err := Read(file)
	require.NoError(t, err)
	require.Equal(t, services, read)
	require.Equal(t, []string{"", "shop", "bank"}, Apps(read))
	shop, found := Find(read, "shop")
	require.True(t, found)
	require.Equal(t, "services/shop", shop.Dir())
	_, found = Find(read, "absent")
	require.False(t, found)
}

func TestListsThatAreRefused(t *testing.T) {
	dir := t.TempDir()
	for text, says := range map[string]string{
		``:                                      "EOF",
		`{}`:                                    "cannot unmarshal object",
		`[] []`:                                 "something follows the list",
		`[{"name":"A","kind":"worker"}]`:        `service "A": a name is a letter a-z`,
		`[{"name":"../a","kind":"api"}]`:        `service "../a": a name is`,
		`[{"name":"a","kind":"cron"}]`:          `service a has the kind "cron": want one of [router worker producer api]`,
		`[{"name":"a","kind":"api","app":"B"}]`: `service a has the app "B"`,
		`[{"name":"a","kind":"api","port":1}]`:  `unknown field "port"`,
		`[{"name":"a","kind":"api"},{"name":"a","kind":"worker"}]`: "service a is listed twice",
	} {
		file := filepath.Join(dir, "services.json")
		require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
		_, err := Read(file)
		require.ErrorContains(t, err, says, text)
		require.ErrorContains(t, err, file)
	}
	_, err := Read(filepath.Join(dir, "absent"))
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, Write(filepath.Join(dir, "new"), []Service{{"a", "cron", ""}}), `kind "cron"`)
	require.NoFileExists(t, filepath.Join(dir, "new"))
}

// The repository's own list names what lies in services/.
func TestListOfThisRepository(t *testing.T) {
	services, err := Read("../../" + Path)
	require.NoError(t, err)
	var listed []string
	for _, s := range services {
		listed = append(listed, "../../"+s.Dir()+"/go.mod")
	}
	there, err := filepath.Glob("../../services/*/go.mod")
	require.NoError(t, err)
	require.ElementsMatch(t, there, listed, "%s and the folders beside it do not agree", Path)
}
