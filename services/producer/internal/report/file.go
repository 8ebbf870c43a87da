package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// File is where a report will be written. It is made before the run, so that a
// place that cannot be written is found then, and renamed into place after it,
// so that nobody reads half a report.
type File struct {
	path string
	tmp  *os.File
}

// CreateFile prepares to write a report at path.
func CreateFile(path string) (*File, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil, fmt.Errorf("cannot write the report to %s: it is a directory", path)
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".report-*.tmp")
	if err != nil {
		return nil, fmt.Errorf("cannot write the report to %s: %w", path, bare(err))
	}
	return &File{path: path, tmp: tmp}, nil
}

// Write puts the report in place.
func (f *File) Write(r Report) error {
	defer f.Discard()
	if err := f.write(r); err != nil {
		return fmt.Errorf("cannot write the report to %s: %w", f.path, bare(err))
	}
	return nil
}

func (f *File) write(r Report) error {
	body, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if _, err := f.tmp.Write(append(body, '\n')); err != nil {
		return err
	}
	if err := f.tmp.Chmod(0o644); err != nil {
		return err
	}
	if err := f.tmp.Close(); err != nil {
		return err
	}
	return os.Rename(f.tmp.Name(), f.path)
}

// Discard removes what was not written. It does nothing after a Write.
func (f *File) Discard() {
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
