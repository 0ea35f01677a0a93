package broker

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// minPassword is the least length of a password that is not a hash.
const minPassword = 16

// User is somebody who may use an embedded server.
type User struct {
	Name     string
	Password string // or its bcrypt hash
}

// ParseUsers reads lines of the form "name: password", where the password may
// be its bcrypt hash. Empty lines and those that begin with # say nothing.
// Errors name the line and never quote it.
func ParseUsers(text string) ([]User, error) {
	var users []User
	known := map[string]bool{insideUser: true, callsUser: true}
	bcrypt := regexp.MustCompile(`^\$2[abxy]\$\d\d\$.{53}$`)
	line := 0
	for entry := range strings.Lines(text) {
		line++
		entry = strings.TrimSpace(entry)
		if entry == "" || strings.HasPrefix(entry, "#") {
			continue
		}
		name, password, ok := strings.Cut(entry, ":")
		u := User{Name: strings.TrimSpace(name), Password: strings.TrimSpace(password)}
		switch {
		case !ok, u.Name == "", strings.ContainsAny(u.Name, " \t"):
			return nil, fmt.Errorf("line %d: must be of the form name: password", line)
		case known[u.Name]:
			return nil, fmt.Errorf("line %d: the name is taken, by another line or by jetfn itself", line)
		case strings.HasPrefix(u.Password, "$2") && !bcrypt.MatchString(u.Password):
			return nil, fmt.Errorf("line %d: the password looks like a bcrypt hash and is none", line)
		case len(u.Password) < minPassword:
			return nil, fmt.Errorf("line %d: the password has %d characters, %d are the least; make one with: openssl rand -hex 32", line, len(u.Password), minPassword)
		}
		known[u.Name] = true
		users = append(users, u)
	}
	if len(users) == 0 {
		return nil, errors.New("there are no users; write lines of the form name: password")
	}
	return users, nil
}
