package gateway

import (
	"maps"
	"sync"
	"sync/atomic"
)

// texts keeps one copy of each text that comes again and again, as names of
// types and states do. It is safe for many goroutines; the nil one keeps none.
type texts struct {
	mu    sync.Mutex
	known atomic.Pointer[map[string]string] // replaced, never modified
}

// Texts that a function makes up must not fill the memory.
const (
	maxTexts = 256
	maxText  = 128
)

// of returns b as a string.
func (t *texts) of(b []byte) string {
	if t == nil || len(b) > maxText {
		return string(b)
	}
	known := t.known.Load()
	if known == nil {
		known = &map[string]string{}
	}
	if s, ok := (*known)[string(b)]; ok {
		return s
	}
	if len(*known) >= maxTexts {
		return string(b)
	}
	return t.add(string(b))
}

func (t *texts) add(s string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	more := map[string]string{s: s}
	if known := t.known.Load(); known != nil {
		maps.Copy(more, *known)
	}
	t.known.Store(&more)
	return s
}
