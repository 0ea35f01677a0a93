package gateway

import (
	"maps"
	"net/http"
	"slices"
	"time"
)

// KeepAlone sets how long the first call of a type of e keeps the others
// waiting at most. It is for the time before e.Function.
func KeepAlone(e *Endpoint, d time.Duration) { e.aloneFor = d }

// Routes are the routes that h answers, and those that are described, both as
// "METHOD path".
func Routes(h http.Handler) (answered, described []string) {
	a, ok := h.(*api)
	if !ok {
		return nil, nil
	}
	for i := range a.table {
		answered = append(answered, a.table[i].method+" "+a.table[i].path)
	}
	slices.Sort(answered)
	return answered, slices.Sorted(maps.Keys(operations()))
}
