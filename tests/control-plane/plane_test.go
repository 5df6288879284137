package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMain lets this program be etcd and kube-apiserver, as the real one is.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && runLinked(os.Args[1], os.Args[2:]) {
		return
	}
	os.Exit(m.Run())
}

func TestBinariesThatAreThereAreUsed(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	assets, used := t.TempDir(), filepath.Join(t.TempDir(), "used")
	for _, name := range []string{"etcd", "kube-apiserver"} {
		script := fmt.Sprintf("#!/bin/sh\necho %s >> '%s'\nexec '%s' %[1]s \"$@\"\n", name, used, self)
		if err := os.WriteFile(filepath.Join(assets, name), []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("KUBEBUILDER_ASSETS", assets)
	directory := t.TempDir()
	authority, err := newAuthority(directory)
	if err != nil {
		t.Fatal(err)
	}
	children := newChildren(directory, directory)
	defer children.stop()
	p, err := startPlane(directory, authority, children)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	if err := p.awaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(used); err != nil || len(strings.Fields(string(text))) != 2 {
		t.Fatalf("used: %q, %v", text, err)
	}
}

func TestABinaryThatIsNotThereIsNamed(t *testing.T) {
	t.Setenv("KUBEBUILDER_ASSETS", t.TempDir())
	if _, _, err := programFor("etcd"); err == nil || !strings.Contains(err.Error(), "KUBEBUILDER_ASSETS has no etcd") {
		t.Fatal(err)
	}
	// It is not one of theirs.
	if _, prefix, err := programFor("kube-controller-manager"); err != nil || len(prefix) != 1 {
		t.Fatal(prefix, err)
	}
}

func TestLogsCanBeKept(t *testing.T) {
	if logs, err := logsOf("/tmp/control-plane-1"); err != nil || logs != "/tmp/control-plane-1" {
		t.Fatal(logs, err)
	}
	kept := t.TempDir()
	t.Setenv("CONTROL_PLANE_LOGS", kept)
	logs, err := logsOf("/tmp/control-plane-1")
	if err != nil || logs != filepath.Join(kept, "control-plane-1") {
		t.Fatal(logs, err)
	}
	if _, err := os.Stat(logs); err != nil {
		t.Fatal(err)
	}
}
