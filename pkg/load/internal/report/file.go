package report

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Files are where a report will be written: as JSON, and beside it as a page for
// people. They are made before the run, so that a place that cannot be written
// is found then, and renamed into place after it, so that nobody reads half a
// report.
type Files struct {
	json, html *file
}

// CreateFiles prepares to write a report at path, and its page at the same path
// with the extension .html.
func CreateFiles(path string) (*Files, error) {
	page := strings.TrimSuffix(path, filepath.Ext(path)) + ".html"
	if page == path {
		return nil, fmt.Errorf("cannot write the report to %s: that is where its page goes; name the JSON file", path)
	}
	out, err := create(path)
	if err != nil {
		return nil, err
	}
	html, err := create(page)
	if err != nil {
		out.discard()
		return nil, err
	}
	return &Files{json: out, html: html}, nil
}

// Write puts the report in place.
func (f *Files) Write(r Report) error {
	defer f.Discard()
	err := f.json.write(func(w io.Writer) error {
		body := json.NewEncoder(w)
		body.SetIndent("", "  ")
		return body.Encode(r)
	})
	if err != nil {
		return err
	}
	return f.html.write(r.WriteHTML)
}

// String names the files.
func (f *Files) String() string { return f.json.path + " and " + f.html.path }

// Discard removes what was not written. It does nothing after a Write.
func (f *Files) Discard() {
	f.json.discard()
	f.html.discard()
}

// file is one of them.
type file struct {
	path string
	tmp  *os.File
}

func create(path string) (*file, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil, fmt.Errorf("cannot write the report to %s: it is a directory", path)
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".report-*.tmp")
	if err != nil {
		return nil, fmt.Errorf("cannot write the report to %s: %w", path, bare(err))
	}
	return &file{path: path, tmp: tmp}, nil
}

func (f *file) write(body func(io.Writer) error) error {
	buffered := bufio.NewWriter(f.tmp)
	err := body(buffered)
	if err == nil {
		err = buffered.Flush()
	}
	if err == nil {
		err = f.tmp.Chmod(0o644)
	}
	if err == nil {
		err = f.tmp.Close()
	}
	if err == nil {
		err = os.Rename(f.tmp.Name(), f.path)
	}
	if err != nil {
		return fmt.Errorf("cannot write the report to %s: %w", f.path, bare(err))
	}
	return nil
}

func (f *file) discard() {
	_ = f.tmp.Close()
	_ = os.Remove(f.tmp.Name())
}

// bare takes the temporary file's name off an error.
func bare(err error) error {
	var pathErr *os.PathError
	var linkErr *os.LinkError
	switch {
	case errors.As(err, &pathErr):
		return pathErr.Err
	case errors.As(err, &linkErr):
		return linkErr.Err
	}
	return err
}
