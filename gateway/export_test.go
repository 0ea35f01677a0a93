package gateway

import (
	"maps"
	"net/http"
	"slices"
)

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
