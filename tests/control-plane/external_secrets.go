// The real External Secrets controller, built by `run` from its own module with its own main, unpatched but for the lists of
// what it links: of its providers only fake, gcpsm and webhook, of its generators none. Some of the others' modules cannot be
// verified here, and no test needs them.

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiextensionsclient "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"
)

// The service account that External Secrets is in Secret Manager. The sandbox grants it what it needs, under this very name.
const (
	project             = "sandbox-project"
	serviceAccountEmail = "external-secrets@" + project + ".iam.gserviceaccount.com"
)

// readDefinitions parses the bundle of CustomResourceDefinitions that comes with the controller.
func readDefinitions(bundle string) ([]*apiextensions.CustomResourceDefinition, error) {
	text, err := os.ReadFile(bundle)
	if err != nil {
		return nil, err
	}
	parts := strings.Split(string(text), "\n---\n")
	definitions := make([]*apiextensions.CustomResourceDefinition, len(parts))
	failures := make([]error, len(parts))
	var all sync.WaitGroup
	for i, part := range parts {
		all.Go(func() {
			definitions[i] = &apiextensions.CustomResourceDefinition{}
			failures[i] = yaml.Unmarshal([]byte(part), definitions[i])
		})
	}
	all.Wait()
	return definitions, errors.Join(failures...)
}

// servedAs are the definitions of a cluster that serves External Secrets' API in this version: those of the bundle for v1; without
// v1, as before 0.16, where there was an older version of the same kind; or none of them.
func servedAs(api string, definitions []*apiextensions.CustomResourceDefinition) []*apiextensions.CustomResourceDefinition {
	switch api {
	case "v1":
		return definitions
	case "none":
		return nil
	}
	var older []*apiextensions.CustomResourceDefinition
	for _, definition := range definitions {
		versions := definition.Spec.Versions
		isOld := slices.ContainsFunc(versions, func(v apiextensions.CustomResourceDefinitionVersion) bool { return v.Name == api })
		if isOld {
			versions = slices.DeleteFunc(versions, func(v apiextensions.CustomResourceDefinitionVersion) bool { return v.Name == "v1" })
			for i := range versions {
				versions[i].Served = versions[i].Name == api
				versions[i].Storage = versions[i].Name == api
			}
			definition.Spec.Versions = versions
		}
		older = append(older, definition)
	}
	return older
}

// defineResources creates the definitions and waits until the API server serves them.
func defineResources(ctx context.Context, config *rest.Config, definitions []*apiextensions.CustomResourceDefinition) error {
	client, err := apiextensionsclient.NewForConfig(config)
	if err != nil {
		return err
	}
	api := client.ApiextensionsV1().CustomResourceDefinitions()
	failures := make([]error, len(definitions))
	var all sync.WaitGroup
	for i, definition := range definitions {
		all.Go(func() {
			if _, failures[i] = api.Create(ctx, definition, metav1.CreateOptions{}); failures[i] != nil {
				return
			}
			for !isEstablished(definition) && ctx.Err() == nil {
				time.Sleep(50 * time.Millisecond)
				if now, err := api.Get(ctx, definition.Name, metav1.GetOptions{}); err == nil {
					definition = now
				}
			}
		})
	}
	all.Wait()
	return errors.Join(append(failures, ctx.Err())...)
}

func isEstablished(definition *apiextensions.CustomResourceDefinition) bool {
	for _, condition := range definition.Status.Conditions {
		if condition.Type == apiextensions.Established {
			return condition.Status == apiextensions.ConditionTrue
		}
	}
	return false
}

// startExternalSecrets starts the controller. Its gcpsm provider knows only Google's names: the proxy leads them to our front.
func (p *plane) startExternalSecrets(binary, proxy string) error {
	return p.children.run("external-secrets", []string{
		"KUBECONFIG=" + filepath.Join(p.directory, "external-secrets.kubeconfig"),
		"HTTPS_PROXY=" + proxy, "https_proxy=" + proxy,
		"NO_PROXY=127.0.0.1,localhost", "no_proxy=127.0.0.1,localhost",
		"SSL_CERT_FILE=" + filepath.Join(p.directory, "ca.crt"),
	}, binary,
		"--enable-cluster-push-secret-reconciler=false",
		"--metrics-addr=127.0.0.1:0", "--live-addr=127.0.0.1:0")
}

// awaitExternalSecrets waits until its controllers work; their own log is the only place that says so.
func (p *plane) awaitExternalSecrets(ctx context.Context) error {
	log := filepath.Join(p.children.logs, "external-secrets.log")
	return p.children.await(ctx, "External Secrets does not work", func() bool {
		text, _ := os.ReadFile(log)
		for _, controller := range []string{"externalsecret", "secretstore", "clustersecretstore"} {
			if !works(string(text), controller) {
				return false
			}
		}
		return true
	})
}

// works looks in the log for the line with which a controller begins to work.
func works(log, controller string) bool {
	for line := range strings.Lines(log) {
		if strings.Contains(line, "Starting workers") && strings.Contains(line, fmt.Sprintf("%q:%q", "controller", controller)) {
			return true
		}
	}
	return false
}

// writeServiceAccount writes the key file of a Google service account of ours: what a SecretStore's auth.secretRef takes. Its
// tokens come from tokenURI, so that nothing of it ever reaches Google.
func writeServiceAccount(path, email, tokenURI string) error {
	key, err := newKey("rsa")
	if err != nil {
		return err
	}
	text, err := keyPEM(key)
	if err != nil {
		return err
	}
	file, err := json.Marshal(map[string]string{
		"type": "service_account", "project_id": project, "private_key_id": "1", "private_key": string(text),
		"client_email": email, "client_id": "1", "auth_uri": tokenURI, "token_uri": tokenURI,
	})
	if err != nil {
		return err
	}
	return os.WriteFile(path, file, 0o600)
}
