// The control endpoint on loopback: what tests ask for and change while a control plane runs.

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// controlHandler serves the endpoint, and the tokens of the service accounts beside it.
func controlHandler(l *ledger, f *front, p *proxy) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /token", serveToken)
	mux.HandleFunc("GET /pods", func(w http.ResponseWriter, _ *http.Request) { answerJSON(w, l.all()) })
	mux.HandleFunc("GET /tunnels", func(w http.ResponseWriter, _ *http.Request) { answerJSON(w, p.seen()) })
	mux.HandleFunc("POST /digest", func(w http.ResponseWriter, r *http.Request) {
		value, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		fmt.Fprintln(w, l.digester.digest(value))
	})
	mux.HandleFunc("PUT /secret-manager", func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		if err == nil {
			err = checkLoopback(strings.TrimSpace(string(text)))
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		f.point(strings.TrimSpace(string(text)))
		w.WriteHeader(http.StatusNoContent)
	})
	return mux
}

func answerJSON(w http.ResponseWriter, value any) {
	w.Header().Set("content-type", "application/json")
	_ = json.NewEncoder(w).Encode(value)
}

// checkLoopback takes http on loopback only: no value of a real project ever comes through here.
func checkLoopback(text string) error {
	target, err := url.Parse(text)
	if err != nil || target.Scheme != "http" || (target.Hostname() != "127.0.0.1" && target.Hostname() != "localhost") {
		return fmt.Errorf("the emulator of Secret Manager is http://127.0.0.1:PORT, not %q", text)
	}
	return nil
}
