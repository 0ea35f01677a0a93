package actor

import (
	"fmt"
	"strings"
)

// StateKey names a record of the state store: all states of an address but
// its entries, or one entry.
//
// An entry is a state whose name has a slash, "<table>/<key>", split at the
// first one. Entries are stored and loaded by themselves, when a function asks
// for them with MissingEntries, so that an address may have many more of them
// than would fit into a record.
type StateKey struct {
	Address Address
	Entry   string // its name; empty: all other states
}

// Key is k as the key of its record: "<ns>.<type>.<id>" and, of an entry,
// ".<table>.<key>", each part escaped.
func (k StateKey) Key() string {
	if k.Entry == "" {
		return k.Address.Key()
	}
	table, key, _ := strings.Cut(k.Entry, "/")
	return k.Address.Key() + "." + Escape(table) + "." + Escape(key)
}

// ParseStateKey reads what Key wrote.
func ParseStateKey(key string) (StateKey, error) {
	at := len(key)
	for range strings.Count(key, ".") - 2 {
		at = strings.LastIndexByte(key[:at], '.')
	}
	a, err := ParseKey(key[:at])
	if err != nil || at == len(key) {
		return StateKey{Address: a}, err
	}
	table, entry, ok := strings.Cut(key[at+1:], ".")
	name, err := Unescape(table)
	if err != nil || !ok {
		return StateKey{}, fmt.Errorf("%w: %q is no key of an entry", ErrBadAddress, key)
	}
	rest, err := Unescape(entry)
	if err != nil {
		return StateKey{}, fmt.Errorf("%w: %q: %w", ErrBadAddress, key, err)
	}
	k := StateKey{Address: a, Entry: name + "/" + rest}
	if k.Key() != key {
		return StateKey{}, fmt.Errorf("%w: %q is no key in canonical form", ErrBadAddress, key)
	}
	return k, k.check()
}

func (k StateKey) String() string {
	if k.Entry == "" {
		return k.Address.String()
	}
	return k.Address.String() + " " + k.Entry
}

// check refuses the key of an entry that can't be stored.
func (k StateKey) check() error {
	table, key, _ := strings.Cut(k.Entry, "/")
	if table == "" || key == "" {
		return protocolError("%s has no entry %q: its table or its key is empty", k.Address, k.Entry)
	}
	if n := len(k.Key()); n > MaxSubjectBytes {
		return limitError("the entry %.80q of %s is %d bytes long when escaped with its address, the limit is %d", k.Entry, k.Address, n, MaxSubjectBytes)
	}
	return nil
}

// IsEntry reports whether a state's name is that of an entry.
func IsEntry(name string) bool { return strings.Contains(name, "/") }

// keyOf is the record that the state called name belongs to.
func keyOf(a Address, name string) StateKey {
	if IsEntry(name) {
		return StateKey{Address: a, Entry: name}
	}
	return StateKey{Address: a}
}

// MissingEntries is the error of a Function that wants to be called again
// with these entries of its address, besides those it had. They are in the
// batch's State then, or only in its Entries if they have no value.
type MissingEntries struct{ Names []string }

func (e *MissingEntries) Error() string {
	return fmt.Sprintf("%d entries are to be loaded first", len(e.Names))
}
