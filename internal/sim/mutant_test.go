package sim_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"
)

// mutantSeeds is how many of the worlds that CI runs anyway may be needed to
// find a deliberate break of the protocol.
const mutantSeeds = 6000

// Mutants are the breaks, by the rule that each of them drops.
func mutants() map[string]string {
	return map[string]string{
		"break-keeps-holes":       "M9: open inputs that the stream has lost are waited for",
		"break-trimmed":           "M9: what an owner hasn't seen of a stream is removed",
		"break-unseen":            "M9: what is new is taken for what was decided at its sequence",
		"cancelled-fires":         "T2: a cancelled timer stays armed",
		"checkpoint-before-apply": "C2: a checkpoint covers what isn't in place",
		"cron-next-from-now":      "a late tick moves none of those behind it",
		"cron-removal-kept":       "a schedule that was removed begins anew when it is added again",
		"cron-skip-ignored":       "a tick that is too late is skipped, if its schedule says so",
		"cron-tick-kept":          "each tick of a schedule is sent once",
		"delivered-is-next":       "S4: a checkpoint takes every send for delivered",
		"edit-during-call":        "an operator's edit waits for the call under way",
		"effects-before-durable":  "J5: sends leave before their commit is durable",
		"entries-blind-lost":      "K4: what an entry is set to without being read is forgotten when it is loaded",
		"entries-not-awaited":     "K4: a call gets entries that aren't loaded",
		"epoch-kept":              "J2: a new owner takes the last epoch",
		"expired-kept":            "K8: expired values are shown and kept",
		"fired-not-recorded":      "T2: a timer's firing is not in the journal",
		"foreign-trimmed":         "I1: records of a foreign stream are removed",
		"gap-ignored":             "R3: a replay goes on over a gap",
		"gather-behind-batch":     "E8: singles are sent behind a batch that may be refused",
		"gather-behind-unknown":   "E8: a lane goes on behind a batch of unknown outcome",
		"gather-cut-again":        "E8: what was stored of a batch that ended half way is written again",
		"gather-cut-is-stored":    "E4: a batch that ended half way counts as stored",
		"gather-refused-last":     "E8: a refused batch's writes are made after later ones",
		"granted-elsewhere":       "a call takes its place at the endpoint that it goes to",
		"holes-by-number":         "M4: holes are checked for their number again",
		"holes-not-recorded":      "M3: the position is the highest consumed input",
		"holes-not-redelivered":   "M4: consumption starts behind H",
		"lost-numbers-awaited":    "S5: a receiver waits for numbers that its mailbox has lost",
		"numbers-unchecked":       "M2: any number is accepted",
		"own-by-epoch":            "J3: a record of one's epoch is taken for one's own",
		"parts-count-early":       "J7: a commit counts before its last part",
		"passed-while-open":       "M6: what was delivered is removed before it is decided",
		"pause-loses-place":       "A4: a message that pauses its address keeps its place",
		"pause-news-any-order":    "A2: of news of a pause the newest holds",
		"pause-put":               "A4: a pause is stored after what its owner knew",
		"pause-unwritten":         "A4: the record of a pause is written until that is known",
		"pause-ignored":           "a paused function gets no calls",
		"purge-beyond-applied":    "C3: records are purged that no checkpoint covers",
		"purge-to-empty":          "J6: the journal's last record is purged",
		"rebuild-after-unknown":   "J4: a record is built anew after an unknown outcome",
		"reload-forgets":          "what waited is called when its function is back",
		"removed-at-once":         "messages for a removed function wait",
		"removed-kept":            "messages for a removed function wait until a time",
		"renewal-forgotten":       "K8: a renewal changes no deadline",
		"replay-ends-early":       "R2: a replay ends before one's own Open",
		"reply-before-durable":    "J5: replies leave before their commit is durable",
		"reply-not-repeated":      "G1: a new owner doesn't repeat the replies of its predecessor",
		"resume-forgets":          "what waited is called when its function is resumed",
		"route-not-consumed":      "I1: a commit sends a record on and does not consume it",
		"route-problem-first":     "I1: a bad record of a foreign stream overtakes good ones",
		"send-order":              "S3: any acknowledgement means delivered",
		"sink-any-scan":           "E4: the answer to an earlier scan is taken",
		"sink-commit-in-flight":   "E4: no second fence for a commit in flight at the first",
		"sink-renewal-forgives":   "E6: what failed while the marker got old isn't looked for",
		"sink-scan-from-last":     "E5: the scan begins at the highest sequence seen",
		"sink-scan-from-publish":  "E5: the scan begins at the first publish",
		"sink-trusts-no-marker":   "E6: no marker means that nobody had one",
		"sink-trusts-unsent":      "E2: what one hasn't sent isn't looked for",
		"sink-without-fence":      "E2: an owner goes on under the last marker",
		"sink-without-scan":       "E4: no scan follows the marker",
		"state-applied-newest":    "K3: a stored record counts for later commits, too",
		"state-blind-retry":       "K2: a rejected write is repeated at the revision there",
		"state-dirty-eviction":    "K5: an address is evicted before its state is stored",
		"state-older-over-newer":  "K2: a pending commit is written over a newer record",
		"state-put":               "K1: records are stored without expecting a revision",
		"state-removal-unmarked":  "K6: a removal leaves no marker where there was no record",
		"state-replay-newest":     "K4: a replayed commit is compared with the newest one",
		"sweep-during-call":       "K9: a record is swept while its address has a call",
		"sweep-early":             "K9: a sweep removes what has not expired",
		"timer-cancel-early":      "J5: an operator is told before a cancellation is durable",
		"timer-not-awaited":       "T5: a checkpoint doesn't wait for timers",
		"timer-put":               "T3: a timer is put over its removal",
		"timers-without-tail":     "T4: the journal's tail doesn't go over the stored timers",
		"trim-by-memory":          "M6: inputs are removed by what is in memory",
		"unknown-is-stored":       "J4: an unknown append counts as stored",
		"unknown-send-is-stored":  "S4: an unknown send counts as stored",
		"void-parts-count":        "J7: an unfinished commit keeps its number",
	}
}

func TestMutantsAreFound(t *testing.T) {
	t.Parallel()
	binary := filepath.Join(t.TempDir(), "sim")
	build := exec.CommandContext(t.Context(), "go", "build", "-tags", "mutants", "-o", binary, "./cmd")
	build.Env = append(os.Environ(), "GOFLAGS=-mod=readonly")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the simulator with mutants: %v\n%s", err, out)
	}
	t.Run("none", func(t *testing.T) {
		if out, err := simulate(t, binary, "", 50); err != nil {
			t.Errorf("the simulator finds something without a mutant: %v\n%s", err, out)
		}
	})
	for name, rule := range mutants() {
		t.Run(name, func(t *testing.T) {
			out, err := simulate(t, binary, name, mutantSeeds)
			var exit *exec.ExitError
			switch {
			case err == nil:
				t.Errorf("%d worlds keep every promise without %s", mutantSeeds, rule)
			case !errors.As(err, &exit):
				t.Error(err)
			default:
				t.Logf("%s\n%s", rule, out)
			}
		})
	}
}

func simulate(t *testing.T, binary, mutant string, seeds int) (string, error) {
	t.Helper()
	c := exec.CommandContext(t.Context(), binary, "-quiet", "-start", "1", "-seeds", strconv.Itoa(seeds))
	c.Env = append(os.Environ(), "JETFN_MUTANT="+mutant)
	out, err := c.CombinedOutput()
	return string(out), err
}

func TestEveryMutantInTheCodeIsInTheList(t *testing.T) {
	t.Parallel()
	var inCode []string
	for _, pattern := range []string{"../../actor/*.go", "../../actor/actortest/*.go", "../gather/*.go", "../cron/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("Glob(%s) = %v, %v", pattern, files, err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range regexp.MustCompile(`mutant\.On\("([^"]+)"\)`).FindAllSubmatch(data, -1) {
				inCode = append(inCode, string(m[1]))
			}
		}
	}
	slices.Sort(inCode)
	inCode = slices.Compact(inCode)
	for _, name := range inCode {
		if mutants()[name] == "" {
			t.Errorf("the mutant %s is not tried", name)
		}
	}
	if len(inCode) != len(mutants()) {
		t.Errorf("%d mutants are in the code, %d in the list", len(inCode), len(mutants()))
	}
}
