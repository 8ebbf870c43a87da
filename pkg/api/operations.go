package api

import (
	"net/http"
	"net/url"
	"strings"
)

// documentPath is where the front serves its description.
const documentPath = "/openapi.json"

// operation is a method and path that the front answers.
type operation struct {
	method, path string // the path as in the document; it may end in /{key}
	answer       func(f *Front, r *http.Request, key string) answer
}

// operations are all of them. The document describes them in the same words.
var operations = []operation{
	{http.MethodPost, "/v1/events/{key}", (*Front).postEvent},
	{http.MethodGet, "/v1/states/{key}", (*Front).getState},
	{http.MethodGet, documentPath, (*Front).getDocument},
}

func (o operation) name() string { return o.method + " " + o.path }

// match tells whether a path, as it was sent, is the operation's, and returns the key in it. A key may have any character, escaped.
func (o operation) match(path string) (key string, ok bool) {
	before, keyed := strings.CutSuffix(o.path, "{key}")
	if !keyed {
		return "", path == o.path
	}
	rest, ok := strings.CutPrefix(path, before)
	if !ok || strings.Contains(rest, "/") {
		return "", false
	}
	key, err := url.PathUnescape(rest)
	return key, err == nil
}
