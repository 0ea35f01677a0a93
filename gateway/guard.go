package gateway

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// guard refuses whom Access does not let in, and what a foreign web page makes
// a browser send: any page can post to loopback, and a name that its owner
// points at loopback makes our answers readable to it.
type guard struct {
	access Access
	hosts  map[string]bool // lower case
	any    bool
	// strict also refuses foreign reads, where a read has an effect.
	strict bool
	door
}

func newGuard(access Access, strict bool) *guard {
	g := &guard{access: access, hosts: make(map[string]bool, len(access.Hosts)), strict: strict, door: newDoor(access)}
	for _, h := range access.Hosts {
		g.hosts[strings.ToLower(h)] = true
		g.any = g.any || h == "*"
	}
	return g
}

// refuse returns why r may not use what is for role, or nil.
func (g *guard) refuse(r *http.Request, role Role) *Problem {
	if p := g.refuseForeign(r); p != nil {
		return p
	}
	return g.access.authorize(r, role)
}

func (g *guard) refuseForeign(r *http.Request) *Problem {
	if !g.allowsHost(r) {
		return problem(notAllowed, fmt.Sprintf("host %q is no name of this listener; call it by a loopback name or by its address", r.Host))
	}
	if origins := r.Header.Values("Origin"); len(origins) > 0 {
		if len(origins) > 1 || !sameOrigin(origins[0], r.Host) {
			return problem(notAllowed, fmt.Sprintf("origin %q is not this listener, whose host is %q", strings.Join(origins, ", "), r.Host))
		}
	}
	safe := !g.strict && (r.Method == http.MethodGet || r.Method == http.MethodHead)
	switch site := r.Header.Get("Sec-Fetch-Site"); site {
	case "", "none", "same-origin":
	default:
		if !safe {
			return problem(notAllowed, fmt.Sprintf("the request was sent by another site's page (Sec-Fetch-Site: %s)", site))
		}
	}
	return nil
}

// allowsHost reports whether the name that r calls us by can't be someone
// else's.
func (g *guard) allowsHost(r *http.Request) bool {
	host := hostname(r.Host)
	switch {
	case g.any, host == "", host == "localhost", strings.HasSuffix(host, ".localhost"), g.hosts[host], g.hosts[strings.ToLower(r.Host)]:
		return true
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	if ip = ip.Unmap(); ip.IsLoopback() {
		return true
	}
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return false
	}
	at, err := netip.ParseAddrPort(local.String())
	return err == nil && at.Addr().Unmap().WithZone("") == ip.WithZone("")
}

// hostname is the host of a Host header in lower case, without port and
// brackets.
func hostname(hostport string) string {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = strings.TrimSuffix(strings.TrimPrefix(hostport, "["), "]")
	}
	return strings.TrimSuffix(strings.ToLower(host), ".")
}

// sameOrigin reports whether a page of origin was served under host.
func sameOrigin(origin, host string) bool {
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" {
		return false
	}
	var port string
	switch u.Scheme {
	case "http":
		port = ":80"
	case "https":
		port = ":443"
	default:
		return false
	}
	return strings.EqualFold(strings.TrimSuffix(u.Host, port), strings.TrimSuffix(host, port))
}
