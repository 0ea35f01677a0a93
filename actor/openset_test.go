package actor

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// An openSet is a map in less memory.
func TestOpenSetAgreesWithAMap(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var s openSet
		model := map[inputRef]bool{}
		next := uint64(1)
		ref := rapid.Custom(func(t *rapid.T) inputRef {
			return inputRef{seq: rapid.Uint64Range(0, next).Draw(t, "seq"), index: rapid.IntRange(0, 3).Draw(t, "index")}
		})
		t.Repeat(map[string]func(*rapid.T){
			"next": func(t *rapid.T) {
				for i := range rapid.IntRange(1, 400).Draw(t, "inputs") {
					s.add(inputRef{seq: next, index: i})
					model[inputRef{seq: next, index: i}] = true
				}
				next++
			},
			"add": func(t *rapid.T) {
				r := ref.Draw(t, "ref")
				s.add(r)
				model[r] = true
			},
			"remove": func(t *rapid.T) {
				r := ref.Draw(t, "ref")
				s.remove(r)
				delete(model, r)
			},
			"remove most": func(t *rapid.T) {
				keep := rapid.IntRange(0, 9).Draw(t, "keep")
				for _, r := range sorted(model) {
					if r.index%10 != keep {
						s.remove(r)
						delete(model, r)
					}
				}
			},
			"": func(t *rapid.T) { agree(t, &s, model) },
		})
	})
}

func sorted(model map[inputRef]bool) []inputRef {
	refs := make([]inputRef, 0, len(model))
	for r := range model {
		refs = append(refs, r)
	}
	slices.SortFunc(refs, inputRef.compare)
	return refs
}

func agree(t *rapid.T, s *openSet, model map[inputRef]bool) {
	want := sorted(model)
	if d := cmp.Diff(want, s.refs(), cmp.AllowUnexported(inputRef{})); d != "" {
		t.Fatalf("open inputs (-want +got):\n%s", d)
	}
	if s.len() != len(want) {
		t.Fatalf("len is %d, want %d", s.len(), len(want))
	}
	lowest, ok := s.lowest()
	if ok != (len(want) > 0) || ok && lowest != want[0] {
		t.Fatalf("lowest is %v, %v; want that of %v", lowest, ok, want)
	}
	for _, r := range want {
		if !s.has(r) {
			t.Fatalf("%v is not open", r)
		}
	}
	if len(s.list) > 2*(len(want)+openSlack)+2 {
		t.Fatalf("%d places for %d open inputs", len(s.list), len(want))
	}
	seq := rapid.Uint64Range(0, 1+maxSeq(want)).Draw(t, "of")
	var indexes []int
	for _, r := range want {
		if r.seq == seq {
			indexes = append(indexes, r.index)
		}
	}
	if got := s.of(seq); !slices.Equal(got, indexes) || s.has(inputRef{seq: seq, index: 9999}) {
		t.Fatalf("open in %d: %v, want %v", seq, got, indexes)
	}
}

func maxSeq(refs []inputRef) uint64 {
	if len(refs) == 0 {
		return 0
	}
	return refs[len(refs)-1].seq
}
