// Secret Manager as External Secrets' gcpsm provider wants it: gRPC under Google's names. Every call is handed on to the REST
// side of an emulator, with the identity of the caller, and its refusals come back as Google's would.

package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	// Registers google.rpc.ErrorInfo and its like, so that details of errors survive.
	_ "google.golang.org/genproto/googleapis/rpc/errdetails"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// front is the gRPC service.
type front struct {
	secretmanagerpb.UnimplementedSecretManagerServiceServer

	mu   sync.Mutex
	base string
}

// newFront serves names of Secret Manager with certificates of a.
func newFront(base string, a *authority) (*front, *grpc.Server) {
	f := &front{}
	f.point(base)
	server := grpc.NewServer(grpc.Creds(credentials.NewTLS(a.perName(isSecretManager))))
	secretmanagerpb.RegisterSecretManagerServiceServer(server, f)
	return f, server
}

// isSecretManager says whether a name is the global or a regional one of Secret Manager.
func isSecretManager(name string) bool {
	return name == "secretmanager.googleapis.com" ||
		strings.HasPrefix(name, "secretmanager.") && strings.HasSuffix(name, ".rep.googleapis.com")
}

// point has the calls from now on handed to another emulator.
func (f *front) point(base string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.base = strings.TrimSuffix(base, "/")
}

func (f *front) pointed() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.base
}

func (f *front) AccessSecretVersion(ctx context.Context, r *secretmanagerpb.AccessSecretVersionRequest) (*secretmanagerpb.AccessSecretVersionResponse, error) {
	answer := &secretmanagerpb.AccessSecretVersionResponse{}
	return answer, f.get(ctx, r.Name+":access", nil, answer)
}

func (f *front) GetSecret(ctx context.Context, r *secretmanagerpb.GetSecretRequest) (*secretmanagerpb.Secret, error) {
	answer := &secretmanagerpb.Secret{}
	return answer, f.get(ctx, r.Name, nil, answer)
}

func (f *front) GetSecretVersion(ctx context.Context, r *secretmanagerpb.GetSecretVersionRequest) (*secretmanagerpb.SecretVersion, error) {
	answer := &secretmanagerpb.SecretVersion{}
	return answer, f.get(ctx, r.Name, nil, answer)
}

func (f *front) ListSecrets(ctx context.Context, r *secretmanagerpb.ListSecretsRequest) (*secretmanagerpb.ListSecretsResponse, error) {
	answer := &secretmanagerpb.ListSecretsResponse{}
	return answer, f.get(ctx, r.Parent+"/secrets", page(r), answer)
}

func (f *front) ListSecretVersions(ctx context.Context, r *secretmanagerpb.ListSecretVersionsRequest) (*secretmanagerpb.ListSecretVersionsResponse, error) {
	answer := &secretmanagerpb.ListSecretVersionsResponse{}
	return answer, f.get(ctx, r.Parent+"/versions", page(r), answer)
}

// AddSecretVersion is what a PushSecret calls.
func (f *front) AddSecretVersion(ctx context.Context, r *secretmanagerpb.AddSecretVersionRequest) (*secretmanagerpb.SecretVersion, error) {
	answer := &secretmanagerpb.SecretVersion{}
	payload, err := protojson.Marshal(r.Payload)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, "the payload cannot be written")
	}
	body := append(append([]byte(`{"payload":`), payload...), '}')
	return answer, f.ask(ctx, http.MethodPost, r.Parent+":addVersion", nil, body, answer)
}

// page is the query of a list.
func page(r interface {
	GetFilter() string
	GetPageSize() int32
	GetPageToken() string
}) url.Values {
	query := url.Values{}
	if r.GetFilter() != "" {
		query.Set("filter", r.GetFilter())
	}
	if r.GetPageSize() > 0 {
		query.Set("pageSize", fmt.Sprint(r.GetPageSize()))
	}
	if r.GetPageToken() != "" {
		query.Set("pageToken", r.GetPageToken())
	}
	return query
}

func (f *front) get(ctx context.Context, path string, query url.Values, into proto.Message) error {
	return f.ask(ctx, http.MethodGet, path, query, nil, into)
}

// ask asks the emulator. The lifetime of the caller's call is that of ours.
func (f *front) ask(ctx context.Context, method, path string, query url.Values, sent []byte, into proto.Message) error {
	base := f.pointed()
	if base == "" {
		return status.Error(codes.Unavailable, "the control plane was given no --secret-manager")
	}
	identity, err := identityOf(ctx)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, method, base+"/v1/"+path, bytes.NewReader(sent))
	if err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	request.URL.RawQuery = query.Encode()
	request.Header.Set("x-sandbox-identity", identity)
	request.Header.Set("user-agent", "external-secrets")
	if sent != nil {
		request.Header.Set("content-type", "application/json")
	}
	answer, err := emulator.Do(request)
	if err != nil {
		if ctx.Err() != nil {
			return status.FromContextError(ctx.Err()).Err()
		}
		return status.Error(codes.Unavailable, err.Error())
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return status.Error(codes.Unavailable, err.Error())
	}
	if answer.StatusCode != http.StatusOK {
		return refusal(answer.StatusCode, body)
	}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(body, into); err != nil {
		// Its text may quote what it could not read.
		return status.Error(codes.Internal, "the emulator's answer is not that of Secret Manager")
	}
	return nil
}

// emulator is the client for the REST side: on loopback, never through a proxy.
var emulator = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}

// refusal turns an error of the REST API into the one of gRPC: same name of the code, same text, same details.
func refusal(code int, body []byte) error {
	var said struct {
		Error struct {
			Message, Status string
			Details         []json.RawMessage
		}
	}
	if err := json.Unmarshal(body, &said); err != nil || said.Error.Status == "" {
		return status.Errorf(byHTTP(code), "unexpected HTTP status code received from server: %d (%s)", code, http.StatusText(code))
	}
	answer := &spb.Status{Code: int32(codes.Unknown), Message: said.Error.Message}
	var named codes.Code
	if named.UnmarshalJSON([]byte(fmt.Sprintf("%q", said.Error.Status))) == nil {
		answer.Code = int32(named)
	}
	for _, detail := range said.Error.Details {
		packed := &anypb.Any{}
		if protojson.Unmarshal(detail, packed) == nil {
			answer.Details = append(answer.Details, packed)
		}
	}
	return status.ErrorProto(answer)
}

// byHTTP is the code for an answer that names none.
func byHTTP(code int) codes.Code {
	switch code {
	case http.StatusBadRequest:
		return codes.InvalidArgument
	case http.StatusUnauthorized:
		return codes.Unauthenticated
	case http.StatusForbidden:
		return codes.PermissionDenied
	case http.StatusNotFound:
		return codes.NotFound
	case http.StatusConflict:
		return codes.Aborted
	case http.StatusTooManyRequests:
		return codes.ResourceExhausted
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return codes.Unavailable
	}
	return codes.Unknown
}

// A token of ours says whose it is; nothing but this front takes it.
const tokenPrefix = "control-plane."

// serveToken is the token_uri of our service accounts: it answers a signed assertion with a token for its issuer. The signature
// is not looked at, since the key was handed out by ourselves.
func serveToken(w http.ResponseWriter, r *http.Request) {
	email, err := issuerOf(r.FormValue("assertion"))
	if err != nil {
		http.Error(w, `{"error":"invalid_grant"}`, http.StatusBadRequest)
		return
	}
	w.Header().Set("content-type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{
		"access_token": tokenPrefix + base64.RawURLEncoding.EncodeToString([]byte(email)), "token_type": "Bearer", "expires_in": 3600,
	})
}

// issuerOf reads who signed a JSON web token.
func issuerOf(assertion string) (string, error) {
	parts := strings.Split(assertion, ".")
	if len(parts) != 3 {
		return "", fmt.Errorf("not a JSON web token")
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return "", err
	}
	var claims struct{ Iss string }
	if err := json.Unmarshal(text, &claims); err != nil || claims.Iss == "" {
		return "", fmt.Errorf("the JSON web token names no issuer")
	}
	return claims.Iss, nil
}

// identityOf reads whom a call's token stands for, as IAM writes it.
func identityOf(ctx context.Context) (string, error) {
	for _, value := range metadata.ValueFromIncomingContext(ctx, "authorization") {
		if token, ours := strings.CutPrefix(value, "Bearer "+tokenPrefix); ours {
			if email, err := base64.RawURLEncoding.DecodeString(token); err == nil {
				return "serviceAccount:" + string(email), nil
			}
		}
	}
	return "", status.Error(codes.Unauthenticated, "Request is missing required authentication credential.")
}
