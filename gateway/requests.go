package gateway

import (
	"fmt"
	"sync/atomic"
)

// requests are those in progress, up to a limit.
type requests struct {
	limit int64
	n     atomic.Int64
}

// begin counts a request in, and returns why it has to be refused, or nil.
// Either way end must follow.
func (q *requests) begin() *Problem {
	if q.n.Add(1) <= q.limit {
		return nil
	}
	return problem(busy, fmt.Sprintf("%d requests are in progress, the limit; come again later", q.limit))
}

func (q *requests) end() { q.n.Add(-1) }
