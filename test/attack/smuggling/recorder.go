// A backend on Go's net/http that says what it saw: one line of JSON on stdout per request, the port first.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
)

type sighting struct {
	Backend string   `json:"backend"`
	Method  string   `json:"method"`
	Target  string   `json:"target"`
	Headers []string `json:"headers"`
	Body    string   `json:"body"`
	Error   string   `json:"error,omitempty"`
}

func main() {
	var lock sync.Mutex
	say := func(value any) {
		line, err := json.Marshal(value)
		if err != nil {
			log.Fatal(err)
		}
		lock.Lock()
		defer lock.Unlock()
		fmt.Fprintf(os.Stdout, "%s\n", line)
	}
	answer := func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		saw := sighting{Backend: "go", Method: r.Method, Target: r.RequestURI, Headers: []string{}}
		if err != nil {
			saw.Error = err.Error()
		}
		latin1 := make([]rune, len(body))
		for at, octet := range body {
			latin1[at] = rune(octet)
		}
		saw.Body = string(latin1)
		for name, values := range r.Header {
			for _, value := range values {
				saw.Headers = append(saw.Headers, strings.ToLower(name), value)
			}
		}
		say(saw)
		io.WriteString(w, "ok")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	say(map[string]any{"ports": map[string]int{"go": listener.Addr().(*net.TCPAddr).Port}})
	log.Fatal(http.Serve(listener, http.HandlerFunc(answer)))
}
