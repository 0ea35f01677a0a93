package sdk

import (
	"iter"
	"strconv"
)

const bufferType = "io.jetfn.types/buffer"

// Buffer is a state with a list of values. Appending doesn't load what is
// there: each element is stored by itself.
type Buffer[T any] struct {
	bounds Value[bounds]
	spec   StateSpec // of an element, but for the name
	typ    Type[T]
}

// bounds say which elements there are.
type bounds struct {
	First uint64 `json:"first"`
	End   uint64 `json:"end"` // behind the last
}

// NewBuffer declares a buffer. Expiry counts for the buffer as a whole; the
// storage of expired elements is used again by those that are appended later,
// or freed by Clear.
func NewBuffer[T any](name string, t Type[T], opts ...StateOption) Buffer[T] {
	return Buffer[T]{
		bounds: NewValue(name, JSON[bounds](bufferType), opts...),
		spec:   StateSpec{Name: name, Type: t.name}, typ: t,
	}
}

// Name is the buffer's name.
func (b Buffer[T]) Name() string { return b.spec.Name }

// Len is the number of elements.
func (b Buffer[T]) Len(ctx Context) int {
	at := b.bounds.Get(ctx)
	return int(at.End - at.First) //nolint:gosec // it is what was appended
}

// Append adds elements at the end.
func (b Buffer[T]) Append(ctx Context, list ...T) {
	in := ctx.call()
	at := b.bounds.Get(ctx)
	for _, v := range list {
		value := b.typ.Of(v)
		if value.err != nil {
			panic(in.stateError(b.spec.Name, value.err))
		}
		in.put(b.element(at.End), value, b.typ.Is)
		at.End++
	}
	b.bounds.Set(ctx, at)
}

// All returns the elements, oldest first.
func (b Buffer[T]) All(ctx Context) iter.Seq[T] {
	return func(yield func(T) bool) {
		in := ctx.call()
		at := b.bounds.Get(ctx)
		var specs []StateSpec
		for i := at.First; i < at.End; i++ {
			specs = append(specs, b.element(i))
		}
		in.prefetch(specs...)
		for _, spec := range specs {
			c := in.cell(spec)
			if !c.present {
				continue
			}
			v, err := b.typ.From(c.value)
			if err != nil {
				panic(in.stateError(spec.Name, err))
			}
			if !yield(v) {
				return
			}
		}
	}
}

// Replace makes list the elements.
func (b Buffer[T]) Replace(ctx Context, list ...T) {
	b.Clear(ctx)
	if len(list) > 0 {
		b.Append(ctx, list...)
	}
}

// Clear removes all elements.
func (b Buffer[T]) Clear(ctx Context) {
	in := ctx.call()
	at := b.bounds.Get(ctx)
	for i := at.First; i < at.End; i++ {
		in.remove(b.element(i))
	}
	b.bounds.Remove(ctx)
}

func (b Buffer[T]) element(i uint64) StateSpec {
	spec := b.spec
	spec.Name += "/" + strconv.FormatUint(i, 10)
	return spec
}

func (b Buffer[T]) specs() []StateSpec { return b.bounds.specs() }

func (b Buffer[T]) check() error { return b.bounds.check() }
