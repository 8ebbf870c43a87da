package service

import (
	"fmt"
	"net/http"
	"net/http/pprof"
	"strconv"
	"time"
)

// mutexProfileFraction is how many contended locks there are for each one sampled in /debug/pprof/mutex.
const mutexProfileFraction = 100

// profiles serves Go's profiles, but not /debug/pprof/cmdline, which would show the secrets in the flags.
func profiles(mux *http.ServeMux) {
	for path, handler := range map[string]http.HandlerFunc{"": pprof.Index, "profile": pprof.Profile, "trace": pprof.Trace} {
		mux.HandleFunc("GET /debug/pprof/"+path, limitProfile(handler))
	}
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("POST /debug/pprof/symbol", pprof.Symbol)
}

// limitProfile refuses profiles longer than MaxProfile.
func limitProfile(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		wanted := r.URL.Query().Get("seconds")
		if seconds, err := strconv.ParseFloat(wanted, 64); wanted != "" && (err != nil || !(seconds <= MaxProfile.Seconds())) {
			http.Error(w, fmt.Sprintf("seconds=%s: want a number up to %d", strconv.Quote(wanted), MaxProfile/time.Second), http.StatusBadRequest)
			return
		}
		next(w, r)
	}
}
