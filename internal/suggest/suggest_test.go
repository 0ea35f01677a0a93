package suggest_test

import (
	"testing"

	"github.com/jetfn/jetfn/internal/suggest"
)

func TestTheNearestWordIsSuggestedIfOneIsNear(t *testing.T) {
	t.Parallel()
	words := []string{"run", "validate", "send", "state", "maxNumBatchRequests"}
	for word, want := range map[string]string{
		"rnu": "run", "vaildate": "validate", "Send": "send", "maxNumBatchRequest": "maxNumBatchRequests",
		"maxbatchrequests": "maxNumBatchRequests", "xyz": "", "": "", "completely": "",
	} {
		if got := suggest.Nearest(word, words); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", word, got, want)
		}
	}
}
