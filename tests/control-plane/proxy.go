// A forwarding proxy on loopback: it tunnels (CONNECT) to the API server and to the front of Secret Manager, to nowhere else, and
// remembers where to. So tests see whether a client went through its proxy or around it.

package main

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// proxy accepts connections and leads each to what it asks for.
type proxy struct {
	// route answers the address that a target stands for, or "" where there is none.
	route func(target string) string

	mu      sync.Mutex
	tunnels []tunnel
}

// tunnel is one request to the proxy, as the control endpoint tells it.
type tunnel struct {
	Time   time.Time `json:"time"`
	Target string    `json:"target"`
	// TLS: the proxy itself was spoken to over TLS.
	TLS bool `json:"tls"`
	// User is the name in Proxy-Authorization.
	User string `json:"user,omitempty"`
	// Status is what was answered: 200, or 403 for a target that is none of ours.
	Status int `json:"status"`
}

// serve runs until the listener is closed.
func (p *proxy) serve(listener net.Listener, overTLS bool) {
	for {
		connection, err := listener.Accept()
		if err != nil {
			return
		}
		go p.handle(connection, overTLS)
	}
}

func (p *proxy) handle(connection net.Conn, overTLS bool) {
	defer connection.Close()
	reader := bufio.NewReader(connection)
	request, err := http.ReadRequest(reader)
	if err != nil {
		return
	}
	t := tunnel{Time: time.Now().UTC(), Target: request.Host, TLS: overTLS, User: proxyUser(request), Status: http.StatusOK}
	address := ""
	if request.Method == http.MethodConnect {
		address = p.route(request.Host)
	}
	var onward net.Conn
	if address == "" {
		t.Status = http.StatusForbidden
	} else if onward, err = net.Dial("tcp", address); err != nil {
		t.Status = http.StatusBadGateway
	}
	p.mu.Lock()
	p.tunnels = append(p.tunnels, t)
	p.mu.Unlock()
	fmt.Fprintf(connection, "HTTP/1.1 %d %s\r\n\r\n", t.Status, http.StatusText(t.Status))
	if t.Status != http.StatusOK {
		return
	}
	defer onward.Close()
	go func() {
		_, _ = io.Copy(onward, reader)
		onward.Close()
	}()
	_, _ = io.Copy(connection, onward)
}

// seen lists the tunnels so far.
func (p *proxy) seen() []tunnel {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]tunnel{}, p.tunnels...)
}

// proxyUser reads the name, never the password.
func proxyUser(request *http.Request) string {
	encoded, basic := strings.CutPrefix(request.Header.Get("Proxy-Authorization"), "Basic ")
	if !basic {
		return ""
	}
	text, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return ""
	}
	user, _, _ := strings.Cut(string(text), ":")
	return user
}
