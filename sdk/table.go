package sdk

import (
	"errors"
	"fmt"
	"iter"
	"strings"
)

// Table is a state that maps keys to values. Each entry is stored by itself
// and loaded when the function asks for it, so that a table may have many more
// entries than would fit into memory. Keys are kept in order.
//
// When a function asks for an entry that its call doesn't have, the call ends
// and is made again with the entry, as often as it takes: what the function
// did until then happens twice, and counts once. One invocation may use some
// thousands of entries.
type Table[K, V any] struct {
	spec StateSpec // of an entry, but for the name
	key  Key[K]
	typ  Type[V]
}

// NewTable declares a table. Expiry counts for each entry by itself, since its
// last write; AfterInvoke is not for tables.
func NewTable[K, V any](name string, key Key[K], t Type[V], opts ...StateOption) Table[K, V] {
	out := Table[K, V]{spec: StateSpec{Name: name, Type: t.name}, key: key, typ: t}
	for _, opt := range opts {
		opt(&out.spec)
	}
	return out
}

// Name is the table's name.
func (t Table[K, V]) Name() string { return t.spec.Name }

// Get returns the value of k, or the zero V if there is none.
func (t Table[K, V]) Get(ctx Context, k K) V {
	out, _ := t.Lookup(ctx, k)
	return out
}

// Lookup returns the value of k and whether there is one.
func (t Table[K, V]) Lookup(ctx Context, k K) (V, bool) {
	in := ctx.call()
	return t.value(in, in.cell(t.entry(in, t.key.format(k))))
}

func (t Table[K, V]) value(in *invocation, c *cell) (out V, ok bool) {
	if !c.present {
		return out, false
	}
	out, err := t.typ.From(c.value)
	if err != nil {
		panic(in.stateError(c.spec.Name, err))
	}
	return out, true
}

// Set makes v the value of k.
func (t Table[K, V]) Set(ctx Context, k K, v V) {
	in := ctx.call()
	text := t.key.format(k)
	spec := t.entry(in, text)
	value := t.typ.Of(v)
	if value.err != nil {
		panic(in.stateError(spec.Name, value.err))
	}
	pages := tree{in, t.spec.Name}
	in.eventually(func() {
		in.prefetch(spec, pages.spec(0))
		if !in.cell(spec).present {
			pages.insert(text)
		}
	})
	in.put(spec, value, t.typ.Is)
}

// Remove leaves k without a value.
func (t Table[K, V]) Remove(ctx Context, k K) {
	in := ctx.call()
	text := t.key.format(k)
	spec := t.entry(in, text)
	in.eventually(func() { tree{in, t.spec.Name}.remove(text) })
	in.remove(spec)
}

// Load loads the entries of keys together. A function that is going to look
// at many calls it first, so that it is not called again for each of them.
func (t Table[K, V]) Load(ctx Context, keys ...K) {
	in := ctx.call()
	specs := make([]StateSpec, len(keys))
	for i, k := range keys {
		specs[i] = t.entry(in, t.key.format(k))
	}
	in.prefetch(specs...)
}

// All returns the entries in the order of their keys. Entries that are set or
// removed meanwhile may be among them or not.
func (t Table[K, V]) All(ctx Context) iter.Seq2[K, V] {
	return t.between(ctx, "", func(string) bool { return true })
}

// Range returns the entries whose keys are from or above and below to.
func (t Table[K, V]) Range(ctx Context, from, to K) iter.Seq2[K, V] {
	end := t.key.format(to)
	return t.between(ctx, t.key.format(from), func(text string) bool { return text < end })
}

// From returns the entries whose keys are k or above.
func (t Table[K, V]) From(ctx Context, k K) iter.Seq2[K, V] {
	return t.between(ctx, t.key.format(k), func(string) bool { return true })
}

// Prefix returns the entries of t whose keys' texts begin with prefix.
func (t Table[K, V]) Prefix(ctx Context, prefix string) iter.Seq2[K, V] {
	return t.between(ctx, prefix, func(text string) bool { return strings.HasPrefix(text, prefix) })
}

// Clear removes all entries.
func (t Table[K, V]) Clear(ctx Context) {
	in := ctx.call()
	pages := tree{in, t.spec.Name}
	var all []string
	pages.leaves("", func(keys []string) bool {
		all = append(all, keys...)
		return true
	})
	for _, text := range all {
		pages.remove(text)
		in.remove(t.entry(in, text))
	}
}

// between returns the entries from a key on, as long as their keys are within.
func (t Table[K, V]) between(ctx Context, from string, within func(text string) bool) iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		in := ctx.call()
		tree{in, t.spec.Name}.leaves(from, func(keys []string) bool {
			var specs []StateSpec
			var wanted []string
			past := false
			for _, text := range keys {
				switch {
				case text < from:
				case within(text):
					specs, wanted = append(specs, t.entry(in, text)), append(wanted, text)
				default:
					past = true
				}
			}
			in.prefetch(specs...)
			for i, text := range wanted {
				v, ok := t.value(in, in.cell(specs[i]))
				if !ok { // it has expired
					continue
				}
				k, err := t.key.parse(text)
				if err != nil {
					panic(in.stateError(t.spec.Name, err))
				}
				if !yield(k, v) {
					return false
				}
			}
			return !past
		})
	}
}

// entry is the declaration of one entry.
func (t Table[K, V]) entry(in *invocation, text string) StateSpec {
	if text == "" {
		panic(in.stateError(t.spec.Name, errors.New("a key is empty")))
	}
	spec := t.spec
	spec.Name += "/" + text
	return spec
}

func (Table[K, V]) specs() []StateSpec { return nil }

func (t Table[K, V]) check() error {
	switch {
	case t.key.format == nil || t.key.parse == nil:
		return fmt.Errorf("table %s has no Key", t.spec.Name)
	case t.spec.Expire.Mode == ExpireAfterInvoke:
		return fmt.Errorf("table %s: entries can expire after a write only", t.spec.Name)
	}
	return checkSpec(t.spec)
}
