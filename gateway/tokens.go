package gateway

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"
)

// minToken is the least length of a token: 16 characters of base64 are 96
// bits if they are random, which nobody guesses over a network.
const minToken = 16

// Tokens are bearer tokens and the roles of each. Only their hashes are kept,
// so that neither a dump nor a log of it tells one.
type Tokens struct{ holders []holder }

// holder is who has one token.
type holder struct {
	hash  [sha256.Size]byte
	roles []Role
}

// ParseTokens reads lines of the form "role: token", where the role is
// ingress, read or admin. A token may have several lines and with them
// several roles. Empty lines and those that begin with # say nothing. Errors
// name the line and never quote it.
func ParseTokens(text string) (*Tokens, error) {
	t := &Tokens{}
	line := 0
	for entry := range strings.Lines(text) {
		line++
		entry = strings.TrimSpace(entry)
		if entry == "" || strings.HasPrefix(entry, "#") {
			continue
		}
		if err := t.add(entry); err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
	}
	if len(t.holders) == 0 {
		return nil, errors.New("there are no tokens; write lines of the form role: token, with the roles ingress, read or admin")
	}
	return t, nil
}

func (t *Tokens) add(entry string) error {
	name, token, ok := strings.Cut(entry, ":")
	role, token := Role(strings.TrimSpace(name)), strings.TrimSpace(token)
	switch {
	case !ok, role != RoleIngress && role != RoleRead && role != RoleAdmin:
		return errors.New("must be of the form role: token, where the role is ingress, read or admin")
	case len(token) < minToken:
		return fmt.Errorf("the token has %d characters, %d are the least; make one with: openssl rand -hex 32", len(token), minToken)
	case !isToken(token):
		return errors.New("a token has letters, digits and -._~+/= only")
	}
	hash := sha256.Sum256([]byte(token))
	for i := range t.holders {
		if t.holders[i].hash == hash {
			t.holders[i].roles = append(t.holders[i].roles, role)
			return nil
		}
	}
	t.holders = append(t.holders, holder{hash: hash, roles: []Role{role}})
	return nil
}

// isToken reports whether s can follow "Bearer" (RFC 6750).
func isToken(s string) bool {
	body := strings.TrimRight(s, "=")
	for _, c := range []byte(body) {
		if ('a' > c || c > 'z') && ('A' > c || c > 'Z') && ('0' > c || c > '9') && !strings.ContainsRune("-._~+/", rune(c)) {
			return false
		}
	}
	return body != ""
}

// roles returns what the holder of token may do; nil if nobody holds it. How
// long it takes does not depend on how much of a token is right.
func (t *Tokens) roles(token string) []Role {
	hash := sha256.Sum256([]byte(token))
	var roles []Role
	for i := range t.holders {
		if subtle.ConstantTimeCompare(t.holders[i].hash[:], hash[:]) == 1 {
			roles = t.holders[i].roles
		}
	}
	return roles
}
