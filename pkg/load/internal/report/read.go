package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"strings"
	"time"
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
	if name := missing(body, reflect.TypeFor[Report]()); name != "" {
		return Report{}, fmt.Errorf("%s is not a report of schema %d: it has no %s", path, schema, name)
	}
	return r, nil
}

// missing returns the name of the first field of t that an object lacks, as in config.rate, "" if it has all. Those that are
// left out when they are empty do not count.
func missing(object []byte, t reflect.Type) string {
	var has map[string]json.RawMessage
	if json.Unmarshal(object, &has) != nil {
		return "" // what is wrong with it is told when it is read
	}
	for i := range t.NumField() {
		field := t.Field(i)
		name, option, _ := strings.Cut(field.Tag.Get("json"), ",")
		value, there := has[name]
		switch {
		case option == "omitempty":
		case !there || bytes.Equal(value, []byte("null")) && field.Type.Kind() != reflect.Slice:
			return name
		case field.Type.Kind() == reflect.Struct && field.Type != reflect.TypeFor[time.Time]():
			if inner := missing(value, field.Type); inner != "" {
				return name + "." + inner
			}
		}
	}
	return ""
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
