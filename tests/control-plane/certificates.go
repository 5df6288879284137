// Certificates and keys of one control plane: a certificate authority of its own, made at each start, and what it signs.

package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// authority signs the certificates of servers and of clients; its files are ca.crt and ca.key in the state directory.
type authority struct {
	certificate *x509.Certificate
	key         crypto.Signer
}

// pair is a certificate with its key, in PEM.
type pair struct {
	certificate, key []byte
}

// newAuthority makes one and writes its files.
func newAuthority(directory string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "control-plane"},
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	certificate, err := sign(template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	a := &authority{key: key}
	if a.certificate, err = x509.ParseCertificate(certificate); err != nil {
		return nil, err
	}
	keyText, err := keyPEM(key)
	if err != nil {
		return nil, err
	}
	return a, write(directory, "ca", pair{certificatePEM(certificate), keyText})
}

// loadAuthority reads the files that newAuthority wrote.
func loadAuthority(directory string) (*authority, error) {
	loaded, err := tls.LoadX509KeyPair(filepath.Join(directory, "ca.crt"), filepath.Join(directory, "ca.key"))
	if err != nil {
		return nil, err
	}
	key, ok := loaded.PrivateKey.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("the key in %s cannot sign", directory)
	}
	return &authority{certificate: loaded.Leaf, key: key}, nil
}

// server signs a certificate for names and loopback.
func (a *authority) server(names ...string) (pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return pair{}, err
	}
	return a.issue(&x509.Certificate{
		Subject:     pkix.Name{CommonName: names[0]},
		DNSNames:    names,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv4(10, 0, 0, 1)},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, key)
}

// client signs a certificate that makes its holder user, a member of groups.
func (a *authority) client(key crypto.Signer, user string, groups ...string) (pair, error) {
	return a.issue(&x509.Certificate{
		Subject:     pkix.Name{CommonName: user, Organization: groups},
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, key)
}

func (a *authority) issue(template *x509.Certificate, key crypto.Signer) (pair, error) {
	certificate, err := sign(template, a.certificate, key.Public(), a.key)
	if err != nil {
		return pair{}, err
	}
	keyText, err := keyPEM(key)
	return pair{certificatePEM(certificate), keyText}, err
}

func sign(template, parent *x509.Certificate, public crypto.PublicKey, key crypto.Signer) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 100))
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial
	// An hour back: the clock of a container may be behind.
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(7*24*time.Hour)
	return x509.CreateCertificate(rand.Reader, template, parent, public, key)
}

// newKey makes a key: "rsa" as most clusters hand out, or "ecdsa".
func newKey(kind string) (crypto.Signer, error) {
	switch kind {
	case "rsa":
		return rsa.GenerateKey(rand.Reader, 2048)
	case "ecdsa":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	return nil, fmt.Errorf("a key is rsa or ecdsa, not %q", kind)
}

func certificatePEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// keyPEM writes a key in the older form of its kind (PKCS 1, SEC 1), as kubeadm and the clouds do.
func keyPEM(key crypto.Signer) ([]byte, error) {
	switch key := key.(type) {
	case *rsa.PrivateKey:
		return pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}), nil
	case *ecdsa.PrivateKey:
		der, err := x509.MarshalECPrivateKey(key)
		return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), err
	}
	return nil, fmt.Errorf("no PEM form for %T", key)
}

// write puts a pair into NAME.crt and NAME.key.
func write(directory, name string, p pair) error {
	if err := os.WriteFile(filepath.Join(directory, name+".crt"), p.certificate, 0o600); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(directory, name+".key"), p.key, 0o600)
}

// perName answers a TLS client with a certificate for the very name that it asked for. Secret Manager has one global and
// many regional names, with a label in front of the location that no wildcard covers.
func (a *authority) perName(allowed func(name string) bool) *tls.Config {
	var mu sync.Mutex
	made := map[string]*tls.Certificate{}
	return &tls.Config{
		NextProtos: []string{"h2"},
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			mu.Lock()
			defer mu.Unlock()
			name := hello.ServerName
			if !allowed(name) {
				return nil, fmt.Errorf("no certificate for %q", name)
			}
			if made[name] == nil {
				p, err := a.server(name)
				if err != nil {
					return nil, err
				}
				certificate, err := tls.X509KeyPair(p.certificate, p.key)
				if err != nil {
					return nil, err
				}
				made[name] = &certificate
			}
			return made[name], nil
		},
	}
}
