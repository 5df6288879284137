package main

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestStateOfTheDeadIsRemoved(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	alive, lock, err := newState()
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	dead, itsLock, err := newState()
	if err != nil {
		t.Fatal(err)
	}
	itsLock.Close()
	failed, itsLock, err := newState()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"etcd.log", "ca.key"} {
		if err := os.WriteFile(filepath.Join(failed, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	keepLogs(failed)
	itsLock.Close()
	now, itsLock, err := newState()
	if err != nil {
		t.Fatal(err)
	}
	defer itsLock.Close()
	var left []string
	for _, directory := range []string{alive, dead, failed, now} {
		if _, err := os.Stat(directory); err == nil {
			left = append(left, directory)
		}
	}
	if !slices.Equal(left, []string{alive, failed, now}) {
		t.Error(left)
	}
	if names, _ := filepath.Glob(filepath.Join(failed, "*")); len(names) != 1 {
		t.Error(names)
	}
}

func TestCertificates(t *testing.T) {
	directory := t.TempDir()
	if _, err := newAuthority(directory); err != nil {
		t.Fatal(err)
	}
	a, err := loadAuthority(directory)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(a.certificate)
	for _, kind := range []string{"rsa", "ecdsa"} {
		key, err := newKey(kind)
		if err != nil {
			t.Fatal(err)
		}
		p, err := a.client(key, "jane", "g1", "g2")
		if err != nil {
			t.Fatal(err)
		}
		loaded, err := tls.X509KeyPair(p.certificate, p.key)
		if err != nil {
			t.Fatal(err)
		}
		subject := loaded.Leaf.Subject
		_, err = loaded.Leaf.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
		if err != nil || subject.CommonName != "jane" || !slices.Equal(subject.Organization, []string{"g1", "g2"}) {
			t.Error(kind, subject, err)
		}
	}
	config := a.perName(isSecretManager)
	made, err := config.GetCertificate(&tls.ClientHelloInfo{ServerName: "secretmanager.europe-west3.rep.googleapis.com"})
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(made.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: "secretmanager.europe-west3.rep.googleapis.com"}); err != nil {
		t.Error(err)
	}
	if _, err := config.GetCertificate(&tls.ClientHelloInfo{ServerName: "example.com"}); err == nil {
		t.Error("a certificate for example.com")
	}
}

func TestLogOfExternalSecrets(t *testing.T) {
	log := `{"level":"info","msg":"Starting Controller","controller":"secretstore"}
{"level":"info","msg":"Starting workers","controller":"secretstore","worker count":1}
`
	if !works(log, "secretstore") || works(log, "clustersecretstore") || works(log, "externalsecret") {
		t.Error("who works is not told apart")
	}
}
