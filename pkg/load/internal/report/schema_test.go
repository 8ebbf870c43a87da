package report

import (
	"bytes"
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
)

const schemaPath = "../../../../docs/report.schema.json"

// schemaOf compiles the schema, without the network.
func schemaOf(t *testing.T) *jsonschema.Schema {
	t.Helper()
	body, err := os.ReadFile(schemaPath)
	require.NoError(t, err)
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	require.NoError(t, c.AddResource("report.schema.json", document))
	s, err := c.Compile("report.schema.json")
	require.NoError(t, err)
	return s
}

// generic is a value as JSON has it.
func generic(t *testing.T, v any) any {
	t.Helper()
	body, err := json.Marshal(v)
	require.NoError(t, err)
	out, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	require.NoError(t, err)
	return out
}

func TestReportsKeepToTheSchema(t *testing.T) {
	s := schemaOf(t)
	for name, r := range samples() {
		require.NoError(t, s.Validate(generic(t, r)), name)
	}
}

func TestSchemaRefusesWhatIsNoReport(t *testing.T) {
	s := schemaOf(t)
	for name, spoil := range map[string]func(r map[string]any){
		"a field too many":  func(r map[string]any) { r["speed"] = 1 },
		"a field too few":   func(r map[string]any) { delete(r, "lost") },
		"another schema":    func(r map[string]any) { r["schema"] = 1 },
		"a verdict unknown": func(r map[string]any) { r["verdict"] = "maybe" },
		"no list":           func(r map[string]any) { r["owners"] = nil },
		"a count below 0":   func(r map[string]any) { r["lost"] = -1 },
		"no time":           func(r map[string]any) { r["started"] = "today" },
		"one further down":  func(r map[string]any) { r["timeline"].(map[string]any)["seconds"] = 1 },
	} {
		r := generic(t, samples()["1 s"]).(map[string]any)
		require.NoError(t, s.Validate(r))
		spoil(r)
		require.Error(t, s.Validate(r), name)
	}
}

// node is a part of the schema.
type node struct {
	Ref                  string `json:"$ref"`
	Description          string
	AdditionalProperties *bool
	Required             []string
	Properties           map[string]node
	Items                *node
	Defs                 map[string]node `json:"$defs"`
}

func TestSchemaHasEveryFieldOfTheReport(t *testing.T) {
	body, err := os.ReadFile(schemaPath)
	require.NoError(t, err)
	var root node
	require.NoError(t, json.Unmarshal(body, &root))
	described(t, root.Defs, reflect.TypeFor[Report](), root, "report")
}

// described fails unless a part of the schema has the fields of a Go type, all
// of them and no others, each with a description.
func described(t *testing.T, defs map[string]node, of reflect.Type, n node, path string) {
	t.Helper()
	require.NotEmpty(t, n.Description, "the schema does not describe %s", path)
	if name, ok := strings.CutPrefix(n.Ref, "#/$defs/"); ok {
		n = defs[name]
	}
	for of.Kind() == reflect.Pointer {
		of = of.Elem()
	}
	switch {
	case of.Kind() == reflect.Slice:
		require.NotNil(t, n.Items, "the schema has no items of %s", path)
		described(t, defs, of.Elem(), *n.Items, path+"[]")
	case of == reflect.TypeFor[time.Time]() || of.Kind() != reflect.Struct:
		require.Empty(t, n.Properties, "%s has no fields", path)
	default:
		require.NotNil(t, n.AdditionalProperties, "%s may have other fields", path)
		require.False(t, *n.AdditionalProperties, "%s may have other fields", path)
		for i := range of.NumField() {
			tag := of.Field(i).Tag.Get("json")
			name, options, _ := strings.Cut(tag, ",")
			require.NotEmpty(t, name, "%s.%s has no name in JSON", path, of.Field(i).Name)
			require.Contains(t, n.Properties, name, "the schema lacks %s.%s", path, name)
			require.Equal(t, options != "omitempty", slices.Contains(n.Required, name), "whether %s.%s is required", path, name)
			described(t, defs, of.Field(i).Type, n.Properties[name], path+"."+name)
		}
		require.Len(t, n.Properties, of.NumField(), "the schema of %s has fields that the report has not", path)
	}
}
