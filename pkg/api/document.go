package api

import (
	_ "embed"
	"encoding/json"
	"net/http"
)

// document describes the front for machines: OpenAPI 3.1.
//
//go:embed openapi.json
var document []byte

func (f *Front) getDocument(*http.Request, string) answer {
	return answer{status: http.StatusOK, body: json.RawMessage(document)}
}
