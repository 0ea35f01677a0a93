package actor

import "math/bits"

// Version is one of several functions that share the addresses of a type.
type Version struct {
	FunctionSpec

	// Weight is this one's share of the addresses, in proportion to the sum of
	// all. One of zero gets none.
	Weight int
}

// version is the one that serves a: as long as the weights and the order of the
// versions stay, the same.
// When they change, no more addresses move than have to, if there are two.
func (s *FunctionSpec) version(a Address) FunctionSpec {
	total := 0
	for i := range s.Versions {
		total += s.Versions[i].Weight
	}
	high, low := bits.Mul64(spread(a), uint64(total))
	_ = low // the fraction
	point := int(high)
	for i := range s.Versions {
		if point -= s.Versions[i].Weight; point < 0 {
			return s.Versions[i].FunctionSpec
		}
	}
	return s.Versions[0].FunctionSpec // all weights are zero
}

// spread is a number of a's own, even over all that there are. It is not the
// partition's hash: each partition is to have addresses of all versions.
func spread(a Address) uint64 {
	const offset, prime = 14695981039346656037, 1099511628211
	h := uint64(offset)
	for _, part := range []string{a.Type.Namespace, a.Type.Name, a.ID} {
		for i := range len(part) {
			h = (h ^ uint64(part[i])) * prime
		}
		h = (h ^ 0xff) * prime // a byte that no text has
	}
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}
