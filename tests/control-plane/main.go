// Program control-plane brings up a real Kubernetes control plane and the real External Secrets controller on loopback, for
// developers and for the tests. It is built and run by the script `run` beside it:
//
//	run build       [--kubernetes 1.34|1.36]              build what is needed into the cache; a second time at once
//	run up          [--kubernetes V] [--secret-manager URL] [--external-secrets-api v1|v1beta1|none]
//	                start everything, print one line of JSON when ready, stay until standard input is closed,
//	                SIGTERM, SIGINT, or the end of the parent process
//	run shell       [the same] [-- COMMAND ARGUMENTS...]
//	                the same around a command (default: $SHELL), whose exit code is the answer
//	run test        [--kubernetes V] [-- FILTER...]       the scenarios of tests/scenarios, all of them or those of a name
//	run certificate --directory D --user U [--group G]... [--key rsa|ecdsa]
//	                another client certificate for the control plane whose state is in D, which may be running;
//	                prints {"certificate":PATH,"key":PATH,"kubeconfig":PATH}
//
// --secret-manager is the REST base of an emulator on loopback: what `kubectl-deepdesk sandbox start` exports as
// CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER. With --external-secrets-api v1beta1 the cluster serves External Secrets' API as the
// versions before 0.16 did, with none not at all; the controller, which needs v1, does not run then. Where KUBEBUILDER_ASSETS names a
// directory, its etcd and kube-apiserver are used; where CONTROL_PLANE_LOGS names one, all logs are left below it.
//
// The line of `up`; paths are absolute:
//
//	{"directory":"/tmp/control-plane-1",                    state, removed at the end; logs stay after a failure
//	 "kubernetes":"v1.34.4", "externalSecrets":"v0.20.4", "seconds":6.1,
//	 "server":"https://127.0.0.1:1", "certificateAuthority":"D/ca.crt",
//	 "kubeconfig":"D/admin.kubeconfig",                     an administrator, by
//	 "clientCertificate":"D/admin.crt", "clientKey":"D/admin.key",   a certificate with an RSA key (PKCS 1)
//	 "tokenFile":"D/token", "tokenUser":"token-user", "tokenGroup":"token-users",   may do nothing until a test grants it
//	 "audit":"D/audit.log",                                 who asked the API server for what, one JSON object a line, no bodies
//	 "proxy":"http://127.0.0.1:2",                          CONNECT to the API server or Secret Manager, to nothing else
//	 "tlsProxy":"https://127.0.0.1:3",                      the same over TLS, certificate from our CA
//	 "proxiedServer":"https://api.control-plane.test:6443", the API server under a name that only the proxies resolve
//	 "control":"http://127.0.0.1:4",                        see below
//	 "serviceAccount":"D/service-account.json",             for a SecretStore's auth.secretRef (project sandbox-project)
//	 "serviceAccountEmail":"external-secrets@sandbox-project.iam.gserviceaccount.com",
//	 "node":"n1",
//	 "environment":{"KUBECONFIG":"…","KUBECACHEDIR":"…"}}   what `shell` sets, with CONTROL_PLANE as this whole line
//
// The control endpoint:
//
//	GET  /pods            every pod that ever ran: namespace, name, uid, owner ("Deployment/backend"), created, started, ready,
//	                      deleted, ended, restarts, holds: [{container, source, key, secret, secretKey, digest}]
//	POST /digest          the digest of the body's bytes, as in holds; salted, so of this run only
//	GET  /tunnels         what the proxies were asked for: [{time, target, tls, user, status}]
//	PUT  /secret-manager  the body is the URL of another emulator
//
// Pods behave as annotations say, see settings.go.
package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"k8s.io/klog/v2"
)

const (
	tokenUser  = "token-user"
	tokenGroup = "token-users"
	// How long a start may take on a machine that is busy with other things.
	startLimit = 3 * time.Minute
)

// errUsage is a command line that cannot be meant.
var errUsage = errors.New("usage")

func main() {
	if len(os.Args) > 1 && runLinked(os.Args[1], os.Args[2:]) {
		return
	}
	code, err := command(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", strings.TrimPrefix(err.Error(), "usage: "))
		code = 1
		if errors.Is(err, errUsage) {
			fmt.Fprintln(os.Stderr, "hint: the head of tests/control-plane/main.go says what it takes")
			code = 2
		}
	}
	os.Exit(code)
}

func command(arguments []string) (int, error) {
	if len(arguments) == 0 {
		return 0, usage("one of build, up, shell, certificate")
	}
	switch name, rest := arguments[0], arguments[1:]; name {
	case "up":
		options, err := parse(name, rest)
		if err == nil && len(options.command) > 0 {
			err = usage("up takes no arguments beside its flags")
		}
		if err != nil {
			return 0, err
		}
		return 0, up(options)
	case "shell":
		options, err := parse(name, rest)
		if err != nil {
			return 0, err
		}
		return shell(options)
	case "certificate":
		return 0, certificate(rest)
	default:
		return 0, usage("%q is none of build, up, shell, certificate", name)
	}
}

func usage(format string, arguments ...any) error {
	return fmt.Errorf("%w: %s", errUsage, fmt.Sprintf(format, arguments...))
}

// options are those of up and shell.
type options struct {
	secretManager   string
	externalSecrets string
	api             string
	command         []string
}

func parse(name string, arguments []string) (options, error) {
	var o options
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&o.secretManager, "secret-manager", "", "")
	flags.StringVar(&o.api, "external-secrets-api", "v1", "")
	// Set by `run`: the directory of the built controller and its definitions.
	flags.StringVar(&o.externalSecrets, "external-secrets", "", "")
	if err := flags.Parse(arguments); err != nil {
		return o, usage("%v", err)
	}
	o.command = flags.Args()
	if o.externalSecrets == "" {
		return o, usage("start it by the script `run`")
	}
	if !slices.Contains([]string{"v1", "v1beta1", "none"}, o.api) {
		return o, usage("--external-secrets-api is v1, v1beta1 or none, not %q", o.api)
	}
	if o.secretManager != "" {
		if err := checkLoopback(o.secretManager); err != nil {
			return o, usage("%v", err)
		}
	}
	return o, nil
}

// up starts, tells, stays and ends.
func up(o options) error {
	told, cancel := untilTold(func() bool { return true })
	defer cancel()
	go func() {
		// Who started us holds the other end; it closes however that process ends.
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	return around(told, o, func(line []byte, world *world) error {
		fmt.Printf("%s\n", line)
		select {
		case <-told.Done():
			return nil
		case err := <-world.children.died:
			return err
		}
	})
}

// shell starts, runs a command, and ends with its exit code.
func shell(o options) (int, error) {
	// Once the command runs, Ctrl-C is for it; we end when it does.
	var begun atomic.Bool
	told, cancel := untilTold(func() bool { return !begun.Load() })
	defer cancel()
	arguments := o.command
	if len(arguments) == 0 {
		arguments = []string{os.Getenv("SHELL")}
		if arguments[0] == "" {
			arguments[0] = "sh"
		}
	}
	code := 0
	err := around(told, o, func(line []byte, world *world) error {
		begun.Store(true)
		process := exec.Command(arguments[0], arguments[1:]...)
		process.Stdin, process.Stdout, process.Stderr = os.Stdin, os.Stdout, os.Stderr
		process.Env = append(os.Environ(), "CONTROL_PLANE="+string(line))
		for name, value := range world.said.Environment {
			process.Env = append(process.Env, name+"="+value)
		}
		process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
		if err := world.children.begin(process); err != nil {
			return fmt.Errorf("cannot run %s: %w", arguments[0], err)
		}
		ended := make(chan error, 1)
		go func() { ended <- process.Wait() }()
		var err error
		select {
		case err = <-ended:
		case err := <-world.children.died:
			_ = process.Process.Signal(syscall.SIGTERM)
			return err
		case <-told.Done():
			_ = process.Process.Signal(syscall.SIGTERM)
			err = <-ended
		}
		if exit := (&exec.ExitError{}); errors.As(err, &exit) {
			if code = exit.ExitCode(); code < 0 {
				code = 128 + int(exit.Sys().(syscall.WaitStatus).Signal())
			}
			return nil
		}
		return err
	})
	return code, err
}

// around has a world during use, and leaves nothing of it but the logs of a failure.
func around(told context.Context, o options, use func(line []byte, world *world) error) (err error) {
	directory, lock, err := newState()
	if err != nil {
		return err
	}
	defer lock.Close()
	logs, err := logsOf(directory)
	if err != nil {
		return err
	}
	children := newChildren(directory, logs)
	inside, end := context.WithCancel(told)
	defer func() {
		end()
		children.stop()
		if err == nil {
			err = os.RemoveAll(directory)
			return
		}
		keepLogs(directory)
		err = fmt.Errorf("%w\nlogs: %s", err, logs)
	}()
	starting, cancel := context.WithTimeout(told, startLimit)
	defer cancel()
	log, err := logTo(filepath.Join(logs, "control-plane.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	world, err := startWorld(inside, starting, o, directory, children)
	if told.Err() != nil {
		return nil // told to end before it had begun
	}
	if err != nil {
		return err
	}
	line, err := json.Marshal(world.said)
	if err != nil {
		return err
	}
	return use(line, world)
}

// logTo has the Kubernetes libraries in this process speak into a file, not on standard error.
func logTo(path string) (*os.File, error) {
	log, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	flags := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(flags)
	for name, value := range map[string]string{"logtostderr": "false", "stderrthreshold": "FATAL", "one_output": "true"} {
		if err := flags.Set(name, value); err != nil {
			return nil, err
		}
	}
	klog.SetOutput(log)
	return log, nil
}

// certificate makes another user for a control plane.
func certificate(arguments []string) error {
	var directory, user, kind string
	var groups []string
	flags := flag.NewFlagSet("certificate", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&directory, "directory", "", "")
	flags.StringVar(&user, "user", "", "")
	flags.StringVar(&kind, "key", "rsa", "")
	flags.Func("group", "", func(group string) error { groups = append(groups, group); return nil })
	if err := flags.Parse(arguments); err != nil {
		return usage("%v", err)
	}
	if directory == "" || user == "" || flags.NArg() > 0 || !slices.Contains([]string{"rsa", "ecdsa"}, kind) {
		return usage("certificate takes --directory, --user, --group and --key rsa|ecdsa")
	}
	authority, err := loadAuthority(directory)
	if err != nil {
		return err
	}
	server, err := os.ReadFile(filepath.Join(directory, "server"))
	if err != nil {
		return err
	}
	p := &plane{directory: directory, authority: authority, server: string(server)}
	name := "user-" + randomText()[:12]
	path, err := p.clientFiles(name, kind, user, groups...)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]string{
		"certificate": filepath.Join(directory, name+".crt"), "key": filepath.Join(directory, name+".key"), "kubeconfig": path,
	})
}

func randomText() string {
	bytes := make([]byte, 24)
	_, _ = rand.Read(bytes) // never fails
	return hex.EncodeToString(bytes)
}

// kubernetesVersion is the release that is linked.
func kubernetesVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, module := range info.Deps {
			if module.Path == "k8s.io/kubernetes" {
				return module.Version
			}
		}
	}
	return ""
}
