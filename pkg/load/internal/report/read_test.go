package report

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReadReturnsWhatWasWritten(t *testing.T) {
	for name, r := range samples() {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "report.json")
			f, err := CreateFiles(path)
			require.NoError(t, err)
			require.NoError(t, f.Write(r))
			again, err := Read(path)
			require.NoError(t, err)
			require.Equal(t, r, again)
		})
	}
}

func TestReadSaysWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	for content, want := range map[string]string{
		"":                                    " is not a report: it is empty",
		"<html>":                              " is not a report: it is not JSON (invalid character '<' looking for beginning of value)",
		`{"schema":2`:                         " is not a report: it is not JSON (unexpected end of JSON input)",
		`[1]`:                                 " is not a report: json: cannot unmarshal array",
		`{"sent":1}`:                          " is not a report: it has no schema",
		`{"schema":2}`:                        " is not a report of schema 2: it has no verdict",
		`{"schema":2,"verdict":null}`:         " is not a report of schema 2: it has no verdict",
		`{"schema":1}`:                        " is a report of schema 1, and this program reads schema 2: make the load again, or read it with the program that wrote it",
		`{"schema":2,"sent":"many"}`:          " is not a report of schema 2: json: cannot unmarshal string",
		`{"schema":2,"config":{"payload":8}}`: " is not a report of schema 2: json: cannot unmarshal number",
	} {
		path := filepath.Join(dir, "r.json")
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		_, err := Read(path)
		require.ErrorContains(t, err, path+want)
		require.NotContains(t, err.Error(), "\n")
	}
	_, err := Read(filepath.Join(dir, "absent.json"))
	require.EqualError(t, err, "cannot read the report "+filepath.Join(dir, "absent.json")+": there is no such file")
	_, err = Read(dir)
	require.EqualError(t, err, "cannot read the report "+dir+": is a directory")
}

func TestPageIsPutInPlace(t *testing.T) {
	dir := t.TempDir()
	f, err := CreateFiles(filepath.Join(dir, "report.json"))
	require.NoError(t, err)
	require.NoError(t, f.Write(samples()["1 s"]))
	body, err := os.ReadFile(filepath.Join(dir, "report.html"))
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(string(body), "<!DOCTYPE html>"))
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 2)
}
