package runtime

import (
	"fmt"
	"slices"
	"sync"
)

// status is what /readyz says. It is safe for many goroutines.
type status struct {
	mu    sync.Mutex
	phase string         // why the worker as a whole isn't ready; empty: it is
	down  map[int]string // partitions that can't go on, and why
}

func newStatus() *status { return &status{phase: phaseStarting, down: map[int]string{}} }

// The phases of a worker that isn't ready.
const (
	phaseStarting   = "starting"
	phaseConnecting = "waiting for NATS"
	phaseStandby    = "standby"
	phaseRecovering = "recovering"
	phaseDraining   = "draining"
)

func (s *status) set(phase string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.phase = phase
}

func (s *status) is(phase string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.phase == phase
}

// begin forgets the partitions of the generation before.
func (s *status) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.phase = phaseRecovering
	clear(s.down)
}

func (s *status) partitionDown(p int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down[p] = err.Error()
}

// downReason is why a partition can't go on; empty: it can, or it isn't known.
func (s *status) downReason(p int) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.down[p]
}

// Reasons returns why the worker is not ready; empty means it is.
func (s *status) Reasons() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var reasons []string
	if s.phase != "" {
		reasons = append(reasons, s.phase)
	}
	down := make([]int, 0, len(s.down))
	for p := range s.down {
		down = append(down, p)
	}
	slices.Sort(down)
	for _, p := range down {
		reasons = append(reasons, fmt.Sprintf("partition %d is down: %s", p, s.down[p]))
	}
	return reasons
}
