package sim

import (
	"context"
	"slices"
)

// Shrink takes items and kinds of faults out of a failing plan as long as it
// still fails, in any way. It tries at most limit worlds.
func Shrink(ctx context.Context, plan *Plan, mask *Mask, limit int) *Mask {
	best := &Mask{}
	if mask != nil {
		best = &Mask{Drop: slices.Clone(mask.Drop), Off: slices.Clone(mask.Off)}
	}
	fails := func(m *Mask) bool {
		limit--
		return limit >= 0 && ctx.Err() == nil && len(Run(ctx, plan, m, false).Failures) > 0
	}
	for _, f := range Faults() {
		if try := (&Mask{Drop: best.Drop, Off: append(slices.Clone(best.Off), f)}); !best.off(f) && fails(try) {
			best = try
		}
	}
	for size := len(plan.Items) / 2; size > 0 && limit > 0; size /= 2 {
		for from := 0; from < len(plan.Items); from += size {
			try := &Mask{Drop: slices.Clone(best.Drop), Off: best.Off}
			for i := from; i < min(from+size, len(plan.Items)); i++ {
				if !best.dropped(i) {
					try.Drop = append(try.Drop, i)
				}
			}
			if len(try.Drop) > len(best.Drop) && fails(try) {
				best = try
			}
		}
	}
	slices.Sort(best.Drop)
	return best
}
