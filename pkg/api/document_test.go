package api

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"example.com/lockstep/pkg/testkit"
)

// object is a part of the document.
type object map[string]any

// at returns the part of that path, and follows references.
func (o object) at(path ...string) object {
	for _, name := range path {
		next, _ := o[name].(map[string]any)
		o = resolve(next)
	}
	return o
}

func resolve(o object) object {
	if ref, ok := o["$ref"].(string); ok {
		return parsed().at(strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
	}
	return o
}

func parsed() (doc object) {
	if err := json.Unmarshal(document, &doc); err != nil {
		panic(err)
	}
	return doc
}

// check returns an error unless a value is as a schema of the document says. It knows the words that the document uses.
func check(schema object, value any) error {
	is := ""
	switch v := value.(type) {
	case string:
		is = "string"
	case bool:
		is = "boolean"
	case float64:
		is = "number"
		if v == float64(int64(v)) {
			is = "integer"
		}
	case map[string]any:
		is = "object"
	}
	if want, ok := schema["type"]; ok && want != is {
		return fmt.Errorf("%v is %q, not %q", value, is, want)
	}
	fields, _ := value.(map[string]any)
	required, _ := schema["required"].([]any)
	for _, name := range required {
		if _, ok := fields[name.(string)]; !ok {
			return fmt.Errorf("%v has no %s", value, name)
		}
	}
	for name, field := range fields {
		if _, ok := schema.at("properties")[name]; !ok && schema["additionalProperties"] == false {
			return fmt.Errorf("the document has no %s", name)
		}
		if err := check(schema.at("properties", name), field); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func TestDocumentNamesTheRoutes(t *testing.T) {
	var documented, are []string
	for path, item := range parsed().at("paths") {
		for method := range item.(map[string]any) {
			documented = append(documented, strings.ToUpper(method)+" "+path)
		}
	}
	for _, r := range operations {
		are = append(are, r.name())
	}
	require.ElementsMatch(t, are, documented)
	post := parsed().at("paths", "/v1/events/{key}", "post")
	for i, name := range []string{"key", headerID, headerType} {
		p := resolve(post["parameters"].([]any)[i].(map[string]any))
		require.Equal(t, name, p["name"])
		if p["in"] == "header" {
			require.EqualValues(t, maxHeaderText, p.at("schema")["maxLength"])
		}
	}
}

// What a client must know, and does not see in a schema.
func TestDocumentStatesWindowAndOrder(t *testing.T) {
	about := parsed().at("info")["description"].(string)
	require.Contains(t, about, "within two minutes is stored once")
	require.Contains(t, about, "one event of a key at a time")
}

// seen are the statuses that the front has given, by route.
type seen map[string]map[string]bool

// require sends a request, and requires a status and a body as the document says.
func (s seen) require(t *testing.T, c *client, r operation, status int, path, body string, headers ...string) {
	t.Helper()
	res, text := c.do(t, r.method, path, body, headers...)
	require.Equal(t, status, res.StatusCode, "%s %s: %s", r.method, path, text)
	s.note(t, r, status, text)
	require.Equal(t, status == http.StatusServiceUnavailable, res.Header.Get("Retry-After") == "1")
}

func (s seen) note(t *testing.T, r operation, status int, text string) {
	t.Helper()
	answers := parsed().at("paths", r.path, strings.ToLower(r.method), "responses")
	require.Contains(t, answers, strconv.Itoa(status), "%s is not documented with it", r.name())
	schema := answers.at(strconv.Itoa(status), "content", "application/json", "schema")
	require.NotEmpty(t, schema)
	var value any
	require.NoError(t, json.Unmarshal([]byte(text), &value))
	require.NoError(t, check(schema, value), text)
	if s[r.name()] == nil {
		s[r.name()] = make(map[string]bool)
	}
	s[r.name()][strconv.Itoa(status)] = true
}

// Every status of the document is given, and no other; the bodies are as it says.
func TestAnswersAreThoseOfTheDocument(t *testing.T) {
	events, states, doc := operations[0], operations[1], operations[2]
	isJSON := []string{"Content-Type", "application/json; charset=utf-8"}
	with := func(headers ...string) []string { return append(slices.Clone(isJSON), headers...) }
	long := strings.Repeat("k", 513)
	s := make(seen)

	n := testkit.NATS(t)
	newRouter(t, n)
	newWorker(t, n)
	c := newFront(t, n)
	s.require(t, c, events, 202, "/v1/events/alice", `{"amount":5}`, isJSON...)
	c.read(t, "alice", 1, 0)
	s.require(t, c, states, 200, "/v1/states/alice", "")
	s.require(t, c, states, 404, "/v1/states/nobody", "")
	s.require(t, c, states, 400, "/v1/states/"+long, "")
	s.require(t, c, states, 400, "/v1/states/", "")
	s.require(t, c, doc, 200, "/openapi.json", "")
	for _, key := range []string{"", long, "%FF", "%20a", "a%0Ab"} {
		s.require(t, c, events, 400, "/v1/events/"+key, `1`, isJSON...)
	}
	for _, body := range []string{"", "{", `{"a":}`, "1 2", "hello"} {
		s.require(t, c, events, 400, "/v1/events/alice", body, isJSON...)
	}
	for _, bad := range []string{"", "a b", "é", "a\tb", strings.Repeat("i", 256)} {
		s.require(t, c, events, 400, "/v1/events/alice", `1`, with(headerID, bad)...)
		s.require(t, c, events, 400, "/v1/events/alice", `1`, with(headerType, bad)...)
	}
	s.require(t, c, events, 400, "/v1/events/alice", `1`, with(headerID, "a", headerID, "b")...)
	for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", "", "application/json; ="} {
		s.require(t, c, events, 415, "/v1/events/alice", `1`, "Content-Type", kind)
	}
	s.require(t, c, events, 415, "/v1/events/alice", `1`)
	s.require(t, c, events, 202, "/v1/events/alice", `"`+strings.Repeat("x", 998)+`"`, isJSON...)
	s.require(t, c, events, 413, "/v1/events/alice", `"`+strings.Repeat("x", 999)+`"`, isJSON...)

	slow := newFront(t, n, func(cfg *Config) { cfg.bodyTimeout = 50 * time.Millisecond })
	status, body := slowBody(t, slow)
	require.Equal(t, 408, status, body)
	s.note(t, events, status, body)

	// Nothing answers, or something that never answers, or a router that refuses.
	none := newFront(t, testkit.NATS(t))
	s.require(t, none, events, 503, "/v1/events/alice", `1`, isJSON...)
	s.require(t, none, states, 503, "/v1/states/alice", "")

	n = testkit.NATS(t)
	asked := make(chan *nats.Msg, 1)
	reply := func(m *nats.Msg) {
		switch string(m.Data) {
		case `"refuse"`:
			_ = m.Respond([]byte(`{"error":{"code":400,"description":"key cannot be"}}`))
		case `"full"`:
			_ = m.Respond([]byte(`{"error":{"code":503,"description":"the stream is full"}}`))
		case `"hold"`:
			asked <- m
		}
	}
	for _, subject := range []string{"shop.in.event.>", "shop.ctl.>"} {
		_, err := n.Conn.Subscribe(subject, reply)
		require.NoError(t, err)
	}
	require.NoError(t, n.Conn.Flush())
	c = newFront(t, n, func(cfg *Config) { cfg.MaxRequests = 1 })
	s.require(t, c, events, 400, "/v1/events/alice", `"refuse"`, isJSON...)
	s.require(t, c, events, 503, "/v1/events/alice", `"full"`, isJSON...)
	hasty := newFront(t, n, func(cfg *Config) { cfg.Timeout = 50 * time.Millisecond })
	s.require(t, hasty, events, 504, "/v1/events/alice", `1`, isJSON...)
	s.require(t, hasty, states, 504, "/v1/states/alice", "")

	// The front serves as many requests at a time as it may.
	ended := make(chan int, 1)
	go func() {
		res, _ := c.post(t, "alice", `"hold"`)
		ended <- res.StatusCode
	}()
	m := <-asked
	s.require(t, c, events, 503, "/v1/events/alice", `1`, isJSON...)
	s.require(t, c, doc, 503, "/openapi.json", "")
	require.NoError(t, m.Respond([]byte(`{"stream":"SHOP_1_0","seq":9}`)))
	require.Equal(t, 202, <-ended)

	for _, r := range operations {
		documented := parsed().at("paths", r.path, strings.ToLower(r.method), "responses")
		require.Equal(t, slices.Sorted(maps.Keys(documented)), slices.Sorted(maps.Keys(s[r.name()])), r.name())
	}
}
