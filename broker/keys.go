package broker

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/jetfn/jetfn/actor"
)

// Timers: "<p>.<epoch>.<commit>.<index>" in their bucket.

func timerPrefix(p int) string { return strconv.Itoa(p) + "." }

func timerKey(p int, id actor.TimerID) string {
	return fmt.Sprintf("%d.%d.%d.%d", p, id.Epoch, id.Commit, id.Index)
}

// timerFence is the key that a reader of p's timers writes first.
func timerFence(p int) string { return timerPrefix(p) + "open" }

const (
	creationKey  = "app"
	popPrefix    = "pop." // positions of PopEgress, by a hash of the subject
	leaseKey     = "lease"
	pausePrefix  = "pause."    // function types and addresses without calls
	readingsKey  = "readings"  // which module revisions ingress records are read by
	modulePrefix = "module."   // revisions of the module
	foundPrefix  = "function." // function types that services announced
)

// foreignKey is where the record of an ingress on an existing stream is.
func foreignKey(ingress actor.TypeName) string {
	return "ingress." + actor.Escape(ingress.Namespace) + "." + actor.Escape(ingress.Name)
}

// moduleKey is "module.<revision>".
func moduleKey(revision uint64) string { return modulePrefix + strconv.FormatUint(revision, 10) }

// foundKey is "function.<ns>.<type>", escaped.
func foundKey(t actor.TypeName) string {
	return foundPrefix + actor.Escape(t.Namespace) + "." + actor.Escape(t.Name)
}

func parseFoundKey(key string) (actor.TypeName, bool) {
	return parseType(strings.TrimPrefix(key, foundPrefix))
}

// parseType parses "<ns>.<type>", escaped.
func parseType(key string) (actor.TypeName, bool) {
	ns, name, ok := strings.Cut(key, ".")
	if !ok {
		return actor.TypeName{}, false
	}
	t := actor.TypeName{}
	var err1, err2 error
	t.Namespace, err1 = actor.Unescape(ns)
	t.Name, err2 = actor.Unescape(name)
	return t, err1 == nil && err2 == nil
}

// pauseKey is "pause.<ns>.<type>", or "pause.<ns>.<type>.<id>" for an address,
// escaped.
func pauseKey(k actor.PauseKey) string {
	if k.Whole {
		return pausePrefix + actor.Escape(k.Address.Type.Namespace) + "." + actor.Escape(k.Address.Type.Name)
	}
	return pausePrefix + k.Address.Key()
}

func parsePauseKey(key string) (actor.PauseKey, bool) {
	key, ok := strings.CutPrefix(key, pausePrefix)
	if !ok {
		return actor.PauseKey{}, false
	}
	if strings.Count(key, ".") != 1 {
		a, err := actor.ParseKey(key)
		return actor.PauseAddress(a), err == nil
	}
	t, ok := parseType(key)
	return actor.PauseType(t), ok
}
