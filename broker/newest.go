package broker

import "sync/atomic"

// newest remembers the text of the key that was asked for last: mostly the
// next one is the same. It is safe for many goroutines.
type newest[K comparable] struct{ last atomic.Pointer[textOf[K]] }

type textOf[K comparable] struct {
	key  K
	text string
}

// of returns the text of a key, which write makes.
func (n *newest[K]) of(key K, write func() string) string {
	last := n.last.Load()
	if last == nil || last.key != key {
		last = &textOf[K]{key, write()}
		n.last.Store(last)
	}
	return last.text
}
