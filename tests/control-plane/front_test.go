package main

import (
	"context"
	"encoding/base64"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

func TestRefusal(t *testing.T) {
	for _, c := range []struct {
		code    int
		body    string
		want    codes.Code
		message string
		details int
	}{
		{404, `{"error":{"code":404,"message":"Secret [s] not found.","status":"NOT_FOUND"}}`, codes.NotFound, "Secret [s] not found.", 0},
		{400, `{"error":{"message":"Secret Version [v] is in DISABLED state.","status":"FAILED_PRECONDITION"}}`,
			codes.FailedPrecondition, "Secret Version [v] is in DISABLED state.", 0},
		{403, `{"error":{"message":"no","status":"PERMISSION_DENIED","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"IAM_PERMISSION_DENIED","domain":"d"}]}}`,
			codes.PermissionDenied, "no", 1},
		{429, `{"error":{"message":"quota","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/unknown"}]}}`,
			codes.ResourceExhausted, "quota", 0},
		{503, "busy", codes.Unavailable, "unexpected HTTP status code received from server: 503 (Service Unavailable)", 0},
		{418, "{}", codes.Unknown, "unexpected HTTP status code received from server: 418 (I'm a teapot)", 0},
		{400, `{"error":{"message":"m","status":"NEWER_THAN_US"}}`, codes.Unknown, "m", 0},
	} {
		got := status.Convert(refusal(c.code, []byte(c.body)))
		if got.Code() != c.want || got.Message() != c.message || len(got.Details()) != c.details {
			t.Errorf("%d %s: %v, %d details", c.code, c.body, got, len(got.Details()))
		}
	}
}

func TestIdentity(t *testing.T) {
	encoded := base64.RawURLEncoding.EncodeToString
	if email, err := issuerOf("e30." + encoded([]byte(`{"iss":"a@b"}`)) + ".x"); email != "a@b" || err != nil {
		t.Error(email, err)
	}
	for _, bad := range []string{"", "a.b", "a.!.c", "a." + encoded([]byte("{}")) + ".c"} {
		if _, err := issuerOf(bad); err == nil {
			t.Errorf("%q has an issuer", bad)
		}
	}
	for header, want := range map[string]string{
		"Bearer " + tokenPrefix + encoded([]byte("a@b")): "serviceAccount:a@b",
		"Bearer ya29.real": "",
		"":                 "",
	} {
		ctx := metadata.NewIncomingContext(context.Background(), metadata.Pairs("authorization", header))
		if got, _ := identityOf(ctx); got != want {
			t.Errorf("%q: %q", header, got)
		}
	}
}

func TestNames(t *testing.T) {
	for name, want := range map[string]bool{
		"secretmanager.googleapis.com": true, "secretmanager.europe-west3.rep.googleapis.com": true,
		"storage.googleapis.com": false, "secretmanager.googleapis.com.evil": false, "": false,
	} {
		if isSecretManager(name) != want {
			t.Error(name)
		}
	}
	p := &plane{server: "https://127.0.0.1:6443"}
	for target, want := range map[string]bool{
		"127.0.0.1:6443": true, "localhost:6443": true, proxiedName + ":443": true, "127.0.0.1:6444": false, "example.com:443": false, "x": false,
	} {
		if p.isProxied(target) != want {
			t.Error(target)
		}
	}
	for url, want := range map[string]bool{
		"http://127.0.0.1:1/": true, "http://localhost:1": true, "https://secretmanager.googleapis.com/": false, "http://example.com": false, "": false,
	} {
		if (checkLoopback(url) == nil) != want {
			t.Error(url)
		}
	}
}
