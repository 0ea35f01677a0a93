//go:build e2e

package e2e_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// surfaceLines names, for each line of the public surface, the tests that use
// it as somebody outside does: those of this package, and the scripts of
// cmd/jetfn, "script:<name>", which run the binary too.
func surfaceLines() map[string][]string {
	const problems, exits, paused = "TestEveryProblemIsProvokedOnce", "TestEveryExitCodeIsSeenOnce", "TestACallOfAPausedFunctionIsRefusedAtOnceWhereverItComesFrom"
	lines := map[string][]string{
		// Over HTTP.
		"POST /v1/send/{ns}/{type}/{id}":            {"TestTheCommandLineSendsAndReadsState", "TestMessagesDelayedFromOutsideSurviveAKill", "TestIdsMayHoldAnything"},
		"POST /v1/call/{ns}/{type}/{id}":            {"TestACallWhoseWorkerIsKilledHasOneEffectAndOneAnswer", "TestAThousandCallsAtOnceGetTheirOwnAnswers"},
		"GET /v1/calls/{id}":                        {paused},
		"GET /v1/state/{ns}/{type}/{id}":            {"TestTheCommandLineSendsAndReadsState", "script:tables"},
		"GET /v1/state/{ns}/{type}/{id}/{name}":     {"script:tables"},
		"GET /v1/state/{ns}/{type}":                 {"TestTheCommandLineSendsAndReadsState"},
		"PUT /v1/state/{ns}/{type}/{id}/{name}":     {"script:operate", "script:tables"},
		"DELETE /v1/state/{ns}/{type}/{id}":         {"script:operate"},
		"GET /v1/dlq":                               {"script:dlq", "TestAnOperatorsWalkThroughDeadLetters"},
		"GET /v1/dlq/{id}":                          {"script:dlq"},
		"POST /v1/dlq/{id}/replay":                  {"script:dlq", problems},
		"POST /v1/dlq/replay":                       {"script:dlq", "TestAnOperatorsWalkThroughDeadLetters"},
		"DELETE /v1/dlq/{id}":                       {"script:dlq"},
		"GET /v1/timers":                            {"script:timers"},
		"GET /v1/timers/{id}":                       {"TestSchemathesisFindsNothing"},
		"DELETE /v1/timers/{id}":                    {"script:timers"},
		"GET /v1/modules":                           {"script:module"},
		"GET /v1/modules/{rev}":                     {"script:module"},
		"PUT /v1/modules":                           {"script:module"},
		"GET /v1/top":                               {"script:observe"},
		"GET /v1/tail/egress":                       {"script:observe"},
		"GET /v1/functions":                         {"script:operate", exits},
		"POST /v1/functions/{ns}/{type}/pause":      {"script:operate", paused},
		"GET /v1/functions/{ns}/{type}/paused":      {"TestAFailurePausesAnAddressOrAFunctionUntilItIsResumed"},
		"POST /v1/functions/{ns}/{type}/{id}/pause": {"TestAFailurePausesAnAddressOrAFunctionUntilItIsResumed"},
		"GET /healthz":                              {"TestTheStartBlockSaysWhereThingsAre"},
		"GET /readyz":                               {"TestNATSUnreachableIsWaitedForAndThenGivenUp", "script:run"},
		"GET /metrics":                              {"TestAForeignWriteToTheStateBucketIsCountedWarnedOfAndNeverMerged"},
		"GET /openapi.json":                         {"TestSchemathesisFindsNothing", problems},

		// Over NATS.
		"<app>.fn.<ns>.<type>.<id>":         {"TestAPlainNATSClientInvokesAFunctionAndReadsItsEgress"},
		"<app>.call.<ns>.<type>.<id>":       {paused},
		"<app>.ingress.<ns>.<name>.<key>":   {"TestAnIngressMessageReachesEachTargetOnce"},
		"<app>.egress.<ns>.<name>[.<key>]":  {"TestAPlainNATSClientInvokesAFunctionAndReadsItsEgress", "TestADurableConsumerOnTheEgressResumesAfterARestart"},
		"<app>.dlq.<ns>.<type>.<id>":        {"TestAnUnusableSubjectBecomesADeadLetterThatNamesTheRightOne"},
		"<app>.mbox.>":                      {"TestOutsidersMayNotPublishWhereJetfnTalksToItself"},
		"Jetfn-Type":                        {"TestAPlainNATSClientInvokesAFunctionAndReadsItsEgress"},
		"Jetfn-Delay":                       {"TestMessagesDelayedFromOutsideSurviveAKill"},
		"Idempotency-Key":                   {"TestACallWhoseWorkerIsKilledHasOneEffectAndOneAnswer", problems},
		"Jetfn-Call-Id":                     {paused},
		"Nats-Msg-Id":                       {"TestMessageIdsDeduplicateAcrossAKill"},
		"Jetfn-Id":                          {"TestAPlainNATSClientInvokesAFunctionAndReadsItsEgress"},
		"Jetfn-Source":                      {"TestAPlainNATSClientInvokesAFunctionAndReadsItsEgress"},
		"Jetfn-Key":                         {"TestAPlainNATSClientInvokesAFunctionAndReadsItsEgress"},
		"one consumer of the mailbox":       {"TestTheWorkerIsOneConsumerOfTheMailbox"},
		"state in KV":                       {"TestTheStateBucketFollowsACommitWithinASecond", "TestAfterADrainTheStateBucketEqualsTheOwner"},
		"an overlapping stream is an error": {"TestAStreamOfSomebodyElsesThatOverlapsIsNamed"},
		"partitions are fixed at creation":  {"TestTheNumberOfPartitionsIsFixedAtCreation"},
		"reading existing streams":          {"TestAnExistingStreamIsReadExactlyOnceAcrossKillsAndATakeover"},

		// On the command line.
		"flags, then JETFN_*, then jetfn.yaml": {"TestFlagsComeBeforeVariablesBeforeTheFile"},
		"SIGTERM drains":                       {"TestTheFirstSignalDrainsAndTheSecondEndsAtOnce"},
	}
	for command, script := range map[string]string{
		"demo": "demo", "run": "run", "validate": "validate", "send": "call", "call": "call", "state ls": "dlq", "state get": "tables", "state set": "tables",
		"state rm": "tables", "dlq ls": "dlq", "dlq show": "dlq", "dlq replay": "dlq", "dlq drop": "dlq", "fn ls": "operate", "fn pause": "operate", "fn resume": "operate",
		"timers ls": "timers", "timers cancel": "timers", "bench": "bench", "version": "version",
		"module ls": "module", "module show": "module", "module diff": "module", "module apply": "module", "module rollback": "module",
		"partitions": "observe", "inspect": "observe", "top": "observe", "tail": "observe",
	} {
		lines["jetfn "+command] = []string{"script:" + script}
	}
	for _, code := range []string{"0", "1", "2", "3", "4", "5", "6", "130"} {
		lines["exit "+code] = []string{exits}
	}
	return lines
}

func TestEveryLineOfTheSurfaceHasATest(t *testing.T) {
	t.Parallel()
	var source strings.Builder
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		source.WriteString(read(t, file))
	}
	lines := surfaceLines()
	for line, tests := range lines {
		if len(tests) == 0 {
			t.Errorf("%s has no test", line)
		}
		for _, name := range tests {
			script, isScript := strings.CutPrefix(name, "script:")
			switch {
			case !isScript && !strings.Contains(source.String(), "func "+name+"(t *testing.T)"):
				t.Errorf("%s: there is no test %s", line, name)
			case isScript:
				text := read(t, "../cmd/jetfn/testdata/script/"+script+".txtar")
				if command, ok := strings.CutPrefix(line, "jetfn "); ok && !strings.Contains(text, "jetfn "+command) {
					t.Errorf("%s: the script %s does not use it", line, script)
				}
			}
		}
	}
	// What the reference lists is in the table.
	reference := read(t, "../docs/reference.md")
	for _, row := range regexp.MustCompile("(?m)^\\| `((?:GET|POST|PUT|DELETE) /[^`?]*)").FindAllStringSubmatch(reference, -1) {
		route := strings.TrimSuffix(strings.TrimSuffix(row[1], "[/{name}]"), ",")
		if lines[route] == nil {
			t.Errorf("the reference has %s, and the table of tests doesn't", route)
		}
	}
	for _, row := range regexp.MustCompile("(?m)^\\| `(<app>[^`]*)`").FindAllStringSubmatch(reference, -1) {
		if lines[row[1]] == nil {
			t.Errorf("the reference has %s, and the table of tests doesn't", row[1])
		}
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
