package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Read reads a report.json. An error is of one line, and says which file it is about.
func Read(path string) (Report, error) {
	body, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Report{}, fmt.Errorf("cannot read the report %s: there is no such file", path)
	case err != nil:
		return Report{}, fmt.Errorf("cannot read the report %s: %w", path, bare(err))
	}
	var head struct {
		Schema *int `json:"schema"`
	}
	if err := json.Unmarshal(body, &head); err != nil {
		return Report{}, fmt.Errorf("%s is not a report: %w", path, notJSON(body, err))
	}
	switch {
	case head.Schema == nil:
		return Report{}, fmt.Errorf("%s is not a report: it has no schema", path)
	case *head.Schema != schema:
		return Report{}, fmt.Errorf("%s is a report of schema %d, and this program reads schema %d: make the load again, or read it with the program that wrote it", path, *head.Schema, schema)
	}
	var r Report
	if err := json.Unmarshal(body, &r); err != nil {
		return Report{}, fmt.Errorf("%s is not a report of schema %d: %w", path, schema, err)
	}
	return r, nil
}

// notJSON says it in plain words where the file is no JSON at all.
func notJSON(body []byte, err error) error {
	var syntax *json.SyntaxError
	switch {
	case len(bytes.TrimSpace(body)) == 0:
		return errors.New("it is empty")
	case errors.As(err, &syntax):
		return fmt.Errorf("it is not JSON (%w)", err)
	}
	return err
}
