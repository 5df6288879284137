// One whole world: control plane, External Secrets, nodes, Secret Manager's front, proxies; started in the order in which each
// needs the others, and side by side where it can be.

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// externalSecretsVersion is what `run` builds.
const externalSecretsVersion = "v0.20.4"

// world is a running one.
type world struct {
	children *children
	said     said
}

// said is the line of `up`, described at the head of main.go.
type said struct {
	Directory            string            `json:"directory"`
	Kubernetes           string            `json:"kubernetes"`
	ExternalSecrets      string            `json:"externalSecrets"`
	Seconds              float64           `json:"seconds"`
	Server               string            `json:"server"`
	CertificateAuthority string            `json:"certificateAuthority"`
	Kubeconfig           string            `json:"kubeconfig"`
	ClientCertificate    string            `json:"clientCertificate"`
	ClientKey            string            `json:"clientKey"`
	TokenFile            string            `json:"tokenFile"`
	TokenUser            string            `json:"tokenUser"`
	TokenGroup           string            `json:"tokenGroup"`
	Audit                string            `json:"audit"`
	Proxy                string            `json:"proxy"`
	TLSProxy             string            `json:"tlsProxy"`
	ProxiedServer        string            `json:"proxiedServer"`
	Control              string            `json:"control"`
	ServiceAccount       string            `json:"serviceAccount"`
	ServiceAccountEmail  string            `json:"serviceAccountEmail"`
	Node                 string            `json:"node"`
	Environment          map[string]string `json:"environment"`
}

// startWorld answers when all of it is ready. What runs in this process lives as long as told; the start ends with starting.
func startWorld(told, starting context.Context, o options, directory string, c *children) (*world, error) {
	begun := time.Now()
	in := func(name string) string { return filepath.Join(directory, name) }
	definitions, failed := parsed(filepath.Join(o.externalSecrets, "crds.yaml"))
	authority, err := newAuthority(directory)
	if err != nil {
		return nil, err
	}
	p, err := startPlane(directory, authority, c)
	if err != nil {
		return nil, err
	}
	ledger := newLedger()
	ports, err := serveAll(o.secretManager, p, ledger)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(
		writeServiceAccount(in("service-account.json"), serviceAccountEmail, ports.control+"/token"),
		os.WriteFile(in("server"), []byte(p.server), 0o600),
		os.Mkdir(in("kube-cache"), 0o700),
	); err != nil {
		return nil, err
	}
	if err := p.awaitReady(starting); err != nil {
		return nil, err
	}
	if err := p.startControllers(); err != nil {
		return nil, err
	}
	config, err := clientConfig(in("kubelet.kubeconfig"))
	if err != nil {
		return nil, err
	}
	if err := startKubelet(told, config, ledger); err != nil {
		return nil, err
	}
	if err := <-failed; err != nil {
		return nil, err
	}
	if err := defineResources(starting, config, servedAs(o.api, <-definitions)); err != nil {
		return nil, err
	}
	if o.api == "v1" {
		if err := p.startExternalSecrets(filepath.Join(o.externalSecrets, "external-secrets"), ports.proxy); err != nil {
			return nil, err
		}
		if err := p.awaitExternalSecrets(starting); err != nil {
			return nil, err
		}
	}
	return &world{c, said{
		Directory: directory, Kubernetes: kubernetesVersion(), ExternalSecrets: externalSecretsVersion,
		Seconds: float64(time.Since(begun).Milliseconds()) / 1000,
		Server:  p.server, CertificateAuthority: in("ca.crt"),
		Kubeconfig: in("admin.kubeconfig"), ClientCertificate: in("admin.crt"), ClientKey: in("admin.key"),
		TokenFile: in("token"), TokenUser: tokenUser, TokenGroup: tokenGroup, Audit: filepath.Join(c.logs, "audit.log"),
		Proxy: ports.proxy, TLSProxy: ports.tlsProxy, ProxiedServer: "https://" + proxiedName + ":6443", Control: ports.control,
		ServiceAccount: in("service-account.json"), ServiceAccountEmail: serviceAccountEmail, Node: nodeName,
		Environment: map[string]string{"KUBECONFIG": in("admin.kubeconfig"), "KUBECACHEDIR": in("kube-cache")},
	}}, nil
}

// parsed reads the definitions while the API server starts.
func parsed(bundle string) (<-chan []*apiextensions.CustomResourceDefinition, <-chan error) {
	definitions, failed := make(chan []*apiextensions.CustomResourceDefinition, 1), make(chan error, 1)
	go func() {
		all, err := readDefinitions(bundle)
		definitions <- all
		failed <- err
	}()
	return definitions, failed
}

func clientConfig(kubeconfig string) (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err == nil {
		config.QPS = -1 // no limit of our own
	}
	return config, err
}

// served are the URLs of what this process itself serves.
type served struct{ control, proxy, tlsProxy string }

// serveAll begins to serve the front, the proxies and the control endpoint; they end with the process.
func serveAll(secretManager string, p *plane, l *ledger) (served, error) {
	var listeners [4]net.Listener
	for i := range listeners {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return served{}, err
		}
		listeners[i] = listener
	}
	grpcListener, plain, overTLS, control := listeners[0], listeners[1], listeners[2], listeners[3]
	f, server := newFront(secretManager, p.authority)
	go func() { _ = server.Serve(grpcListener) }()

	forward := &proxy{route: func(target string) string {
		host, _, _ := net.SplitHostPort(target)
		switch {
		case isSecretManager(host):
			return grpcListener.Addr().String()
		case p.isProxied(target):
			return p.server[len("https://"):]
		}
		return ""
	}}
	certificate, err := tls.LoadX509KeyPair(filepath.Join(p.directory, "server.crt"), filepath.Join(p.directory, "server.key"))
	if err != nil {
		return served{}, err
	}
	go forward.serve(plain, false)
	go forward.serve(tls.NewListener(overTLS, &tls.Config{Certificates: []tls.Certificate{certificate}}), true)
	go func() { _ = http.Serve(control, controlHandler(l, f, forward)) }()
	return served{
		control: "http://" + control.Addr().String(), proxy: "http://" + plain.Addr().String(),
		tlsProxy: "https://" + overTLS.Addr().String(),
	}, nil
}
