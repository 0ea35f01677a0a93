package sim

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Mask takes parts out of a plan: items by their index, and kinds of faults.
// Nil takes nothing out.
type Mask struct {
	Drop []int
	Off  []Fault
}

func (m *Mask) dropped(i int) bool { return m != nil && slices.Contains(m.Drop, i) }

func (m *Mask) off(f Fault) bool { return m != nil && slices.Contains(m.Off, f) }

// Flags is the mask as the command line's flags.
func (m *Mask) Flags() string {
	var b strings.Builder
	if m != nil && len(m.Drop) > 0 {
		b.WriteString(" -drop " + join(m.Drop, strconv.Itoa))
	}
	if m != nil && len(m.Off) > 0 {
		b.WriteString(" -off " + join(m.Off, func(f Fault) string { return string(f) }))
	}
	return b.String()
}

func join[T any](list []T, text func(T) string) string {
	out := make([]string, len(list))
	for i, item := range list {
		out[i] = text(item)
	}
	return strings.Join(out, ",")
}

// ParseMask reads the values of the flags.
func ParseMask(drop, off string) (*Mask, error) {
	m := &Mask{}
	for s := range strings.SplitSeq(drop, ",") {
		if s == "" {
			continue
		}
		i, err := strconv.Atoi(s)
		if err != nil {
			return nil, fmt.Errorf("parse the items to drop: %w", err)
		}
		m.Drop = append(m.Drop, i)
	}
	for s := range strings.SplitSeq(off, ",") {
		if s == "" {
			continue
		}
		if !slices.Contains(Faults(), Fault(s)) {
			return nil, fmt.Errorf("no fault is called %q", s)
		}
		m.Off = append(m.Off, Fault(s))
	}
	return m, nil
}
