package rename

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// RecordFile is the file, at the root of a fork, that holds its record.
const RecordFile = ".template.json"

const recordSchema = 1

// A Record tells where a fork comes from.
type Record struct {
	Schema int `json:"schema"` // WriteRecord sets it
	// Base is the commit that was forked, or whose changes were taken last. In a repository without the template's history
	// it is a commit of the fork's own, and Tree alone leads to the template's.
	Base string `json:"base"`
	Tree string `json:"tree"` // git's id of that commit's files, before they were renamed
	From Names  `json:"from"`
	To   Names  `json:"to"`
	// Before is the record that was there when a fork was forked.
	Before *Record `json:"before,omitempty"`
}

// ReadRecord returns the record of the fork in dir. The error wraps fs.ErrNotExist if there is none.
func ReadRecord(dir string) (Record, error) {
	file := filepath.Join(dir, RecordFile)
	b, err := os.ReadFile(file)
	if err != nil {
		return Record{}, fmt.Errorf("read the record of the fork: %w", err)
	}
	var r Record
	if err := json.Unmarshal(b, &r); err != nil {
		return Record{}, fmt.Errorf("read the record of the fork: %s: %w", file, err)
	}
	if r.Schema != recordSchema {
		return Record{}, fmt.Errorf("read the record of the fork: %s: schema %d, want %d", file, r.Schema, recordSchema)
	}
	return r, nil
}

// WriteRecord writes the record of the fork in dir.
func WriteRecord(dir string, r Record) error {
	r.Schema = recordSchema
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("write the record of the fork: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, RecordFile), append(b, '\n'), 0o644); err != nil {
		return fmt.Errorf("write the record of the fork: %w", err)
	}
	return nil
}
