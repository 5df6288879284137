// The control plane itself: etcd, kube-apiserver and kube-controller-manager, linked into this program from their own modules
// and run as processes of it. Where KUBEBUILDER_ASSETS names a directory, its etcd and kube-apiserver are run instead.

package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	kcm "k8s.io/kubernetes/cmd/kube-controller-manager/app"
)

// The controllers that tests and developers meet. None for nodes: the stand-in for the kubelet is all there is to one.
const controllers = "deployment-controller,replicaset-controller,statefulset-controller,daemonset-controller,job-controller," +
	"cronjob-controller,ttl-after-finished-controller,garbage-collector-controller,namespace-controller," +
	"serviceaccount-controller,serviceaccount-token-controller,root-ca-certificate-publisher-controller," +
	"clusterrole-aggregation-controller"

// proxiedName is a name of the API server that no resolver knows: only our proxy leads there.
const proxiedName = "api.control-plane.test"

// auditPolicy has who asked for what in audit.log, never what was in it.
const auditPolicy = `{"apiVersion":"audit.k8s.io/v1","kind":"Policy","omitStages":["RequestReceived"],"rules":[{"level":"Metadata"}]}`

// runLinked runs one of the linked programs. It ends the process, or answers false when name is none of them.
func runLinked(name string, arguments []string) bool {
	var command *cobra.Command
	switch name {
	case "etcd":
		etcdmain.Main(append([]string{name}, arguments...))
		os.Exit(0)
	case "kube-apiserver":
		command = apiserver.NewAPIServerCommand()
	case "kube-controller-manager":
		command = kcm.NewControllerManagerCommand()
	default:
		return false
	}
	command.SetArgs(arguments)
	os.Exit(cli.Run(command))
	return true
}

// plane is what a running control plane is reached by.
type plane struct {
	directory string
	authority *authority
	server    string
	children  *children
}

// startPlane starts etcd and kube-apiserver; awaitReady says when they serve.
func startPlane(directory string, a *authority, c *children) (*plane, error) {
	ports, err := freePorts(3)
	if err != nil {
		return nil, err
	}
	client, peer, api := loopback("http", ports[0]), loopback("http", ports[1]), ports[2]
	program, prefix, err := programFor("etcd")
	if err != nil {
		return nil, err
	}
	err = c.run("etcd", nil, program, append(prefix, "--data-dir=etcd", "--unsafe-no-fsync", "--log-level=warn",
		"--listen-client-urls="+client, "--advertise-client-urls="+client, "--listen-peer-urls="+peer,
		"--initial-advertise-peer-urls="+peer, "--initial-cluster=default="+peer)...)
	if err != nil {
		return nil, err
	}
	p := &plane{directory: directory, authority: a, server: loopback("https", api), children: c}
	if err := p.writeFiles(); err != nil {
		return nil, err
	}
	if program, prefix, err = programFor("kube-apiserver"); err != nil {
		return nil, err
	}
	return p, c.run("kube-apiserver", nil, program, append(prefix, "--etcd-servers="+client,
		"--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", api), "--advertise-address=127.0.0.1",
		"--endpoint-reconciler-type=none", "--service-cluster-ip-range=10.0.0.0/24", "--allow-privileged=true",
		"--tls-cert-file=server.crt", "--tls-private-key-file=server.key", "--client-ca-file=ca.crt",
		"--token-auth-file=tokens.csv", "--authorization-mode=RBAC",
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=service-accounts.key", "--service-account-signing-key-file=service-accounts.key",
		// It would taint our node until a controller that is not there takes the taint away.
		"--disable-admission-plugins=TaintNodesByCondition",
		"--audit-policy-file=audit-policy.json", "--audit-log-path="+filepath.Join(c.logs, "audit.log"))...)
}

// startControllers starts kube-controller-manager; the API server has to be ready.
func (p *plane) startControllers() error {
	program, prefix, err := programFor("kube-controller-manager")
	if err != nil {
		return err
	}
	return p.children.run("kube-controller-manager", nil, program, append(prefix,
		"--kubeconfig=kube-controller-manager.kubeconfig", "--leader-elect=false", "--secure-port=0",
		"--controllers="+controllers, "--service-account-private-key-file=service-accounts.key", "--root-ca-file=ca.crt")...)
}

// writeFiles writes all that the programs and the clients are given.
func (p *plane) writeFiles() error {
	serving, err := p.authority.server("localhost", proxiedName, "kubernetes.default.svc")
	if err != nil {
		return err
	}
	if err := write(p.directory, "server", serving); err != nil {
		return err
	}
	tokens, err := newKey("ecdsa")
	if err != nil {
		return err
	}
	text, err := keyPEM(tokens)
	if err != nil {
		return err
	}
	token := randomText()
	files := map[string]string{
		"service-accounts.key": string(text),
		"audit-policy.json":    auditPolicy,
		"token":                token,
		"tokens.csv":           fmt.Sprintf("%s,%s,%s,%q\n", token, tokenUser, tokenUser, tokenGroup),
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(p.directory, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	// All may do anything: what they may do in a cluster of users is not what is tested here. The names tell them apart
	// in audit.log.
	for name, user := range map[string]string{
		"admin": "admin", "kube-controller-manager": "system:kube-controller-manager", "kubelet": "system:node:" + nodeName,
		"external-secrets": "external-secrets",
	} {
		kind := "ecdsa"
		if name == "admin" {
			kind = "rsa"
		}
		if _, err := p.clientFiles(name, kind, user, "system:masters"); err != nil {
			return err
		}
	}
	return nil
}

// clientFiles makes a user: NAME.crt, NAME.key and NAME.kubeconfig in the state directory.
func (p *plane) clientFiles(name, kind, user string, groups ...string) (string, error) {
	key, err := newKey(kind)
	if err != nil {
		return "", err
	}
	signed, err := p.authority.client(key, user, groups...)
	if err != nil {
		return "", err
	}
	if err := write(p.directory, name, signed); err != nil {
		return "", err
	}
	path := filepath.Join(p.directory, name+".kubeconfig")
	return path, os.WriteFile(path, []byte(kubeconfig(p.server, certificatePEM(p.authority.certificate.Raw), user, signed)), 0o600)
}

// kubeconfig is a file with all that it needs inside.
func kubeconfig(server string, authority []byte, user string, p pair) string {
	encoded := base64.StdEncoding.EncodeToString
	return fmt.Sprintf(`apiVersion: v1
kind: Config
clusters:
- name: control-plane
  cluster:
    server: %s
    certificate-authority-data: %s
contexts:
- name: control-plane
  context:
    cluster: control-plane
    user: %q
current-context: control-plane
users:
- name: %q
  user:
    client-certificate-data: %s
    client-key-data: %s
`, server, encoded(authority), user, user, encoded(p.certificate), encoded(p.key))
}

// awaitReady waits for /readyz of the API server.
func (p *plane) awaitReady(ctx context.Context) error {
	roots := x509.NewCertPool()
	roots.AddCert(p.authority.certificate)
	admin, err := tls.LoadX509KeyPair(filepath.Join(p.directory, "admin.crt"), filepath.Join(p.directory, "admin.key"))
	if err != nil {
		return err
	}
	client := &http.Client{
		Timeout:   2 * time.Second,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{admin}}},
	}
	defer client.CloseIdleConnections()
	return p.children.await(ctx, "the API server is not ready", func() bool { return answersOK(client, p.server+"/readyz") })
}

// answersOK says whether a GET is answered with 200.
func answersOK(client *http.Client, url string) bool {
	answer, err := client.Get(url)
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode == http.StatusOK
}

// programFor answers how to run one of the three: this program with the name in front, or a binary of KUBEBUILDER_ASSETS.
func programFor(name string) (program string, prefix []string, err error) {
	if assets := os.Getenv("KUBEBUILDER_ASSETS"); assets != "" && name != "kube-controller-manager" {
		path, err := filepath.Abs(filepath.Join(assets, name))
		if err != nil {
			return "", nil, err
		}
		if _, err := os.Stat(path); err != nil {
			return "", nil, fmt.Errorf("KUBEBUILDER_ASSETS has no %s: %w", name, err)
		}
		return path, nil, nil
	}
	program, err = os.Executable()
	return program, []string{name}, err
}

func loopback(scheme string, port int) string { return fmt.Sprintf("%s://127.0.0.1:%d", scheme, port) }

// freePorts finds ports for programs that cannot choose one by themselves. They lie below those that the kernel hands out to
// outgoing connections, so that none of these takes one before it is listened on.
func freePorts(count int) ([]int, error) {
	var ports []int
	for range 1000 {
		port := 12000 + rand.IntN(20000)
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		defer listener.Close()
		if ports = append(ports, port); len(ports) == count {
			return ports, nil
		}
	}
	return nil, fmt.Errorf("127.0.0.1 has no %d free ports", count)
}

// isProxied says whether a proxy's client means the API server.
func (p *plane) isProxied(target string) bool {
	host, _, err := net.SplitHostPort(target)
	return err == nil && (host == proxiedName || "https://"+target == p.server ||
		"https://"+strings.Replace(target, "localhost", "127.0.0.1", 1) == p.server)
}
