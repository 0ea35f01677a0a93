package gateway

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/rs/zerolog"
)

// Access says who may call a listener. The zero Access lets everybody who
// reaches it by a loopback name or by its address.
type Access struct {
	// Hosts are names by which requests may call the listener besides
	// loopback names and the address it listens at; "*" allows all.
	Hosts []string
	// Tokens returns the bearer tokens that are valid now. Without it no route
	// needs one.
	Tokens func() *Tokens
	// MaxBodies bounds the bytes that the bodies of all requests in progress
	// have together; beyond it they are answered 429. The default is 256 MiB.
	MaxBodies int64
	Log       zerolog.Logger
}

// authorize returns why the request's credentials don't suffice for role, or
// nil.
func (a *Access) authorize(r *http.Request, role Role) *Problem {
	if a.Tokens == nil || role == RolePublic {
		return nil
	}
	token, p := bearer(r)
	if p != nil {
		return p
	}
	roles := a.Tokens().roles(token)
	switch {
	case roles == nil:
		p = problem(unauthorized, "the bearer token is not one of this application's")
		p.challenge = `Bearer realm="jetfn", error="invalid_token"`
	case !slices.Contains(roles, role) && !slices.Contains(roles, RoleAdmin):
		p = problem(notAllowed, fmt.Sprintf("this needs a token with the role %s; the one given has %s", role, joinRoles(roles)))
		p.challenge = `Bearer realm="jetfn", error="insufficient_scope"`
	}
	return p
}

// bearer returns the request's token.
func bearer(r *http.Request) (string, *Problem) {
	p := problem(unauthorized, "this needs a token: send the header Authorization: Bearer <token>")
	p.challenge = `Bearer realm="jetfn"`
	values := r.Header.Values("Authorization")
	if len(values) != 1 {
		return "", p
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	if token = strings.TrimSpace(token); !strings.EqualFold(scheme, "Bearer") || token == "" {
		return "", p
	}
	return token, nil
}

func joinRoles(roles []Role) string {
	names := make([]string, len(roles))
	for i, r := range roles {
		names[i] = string(r)
	}
	return strings.Join(names, " and ")
}
