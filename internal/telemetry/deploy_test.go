package telemetry_test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jetfn/jetfn/internal/telemetry"
)

// read returns the files of the project that match a pattern, by name.
func read(t *testing.T, patterns ...string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, pattern := range patterns {
		files, err := filepath.Glob(filepath.Join("..", "..", pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("no files %s: %v", pattern, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			out[file] = string(text)
		}
	}
	return out
}

func TestWhateverNamesAMetricNamesOneOfTheTable(t *testing.T) {
	t.Parallel()
	known := map[string]telemetry.Metric{}
	for _, m := range telemetry.Table() {
		known[m.Name] = m
	}
	suffix := regexp.MustCompile(`_(bucket|sum|count)$`)
	files := read(t, "deploy/grafana/*.json", "deploy/prometheus/*.yaml", "deploy/kubernetes/*.yaml", "docs/*.md", "examples/autoscale/*.sh")
	for file, text := range files {
		for _, name := range regexp.MustCompile(`jetfn_(?:functions|worker|partition|endpoint|ingress|egress|stream|nats)_\w+`).FindAllString(text, -1) {
			m, ok := known[suffix.ReplaceAllString(name, "")]
			if !ok && !strings.HasSuffix(name, "_") {
				t.Errorf("%s names %s, which is not in the table", file, name)
			}
			if ok && suffix.MatchString(name) != (m.Kind == telemetry.KindHistogram) && !strings.HasSuffix(file, ".md") && !strings.HasSuffix(file, ".sh") {
				t.Errorf("%s asks for %s, which is a %s", file, name, m.Kind)
			}
		}
	}
}

func TestEachAlertHasARunbook(t *testing.T) {
	t.Parallel()
	join := func(files map[string]string) string {
		return strings.Join(slices.Collect(maps.Values(files)), "\n")
	}
	rules, page := join(read(t, "deploy/prometheus/*.yaml")), join(read(t, "docs/operations.md"))
	alerts := regexp.MustCompile(`(?m)^ +- alert: (\w+)$`).FindAllStringSubmatch(rules, -1)
	if len(alerts) < 10 {
		t.Fatalf("%d alerts, that is too few", len(alerts))
	}
	for _, a := range alerts {
		if !strings.Contains(page, "\n### "+a[1]+"\n") {
			t.Errorf("docs/operations.md has no heading %s", a[1])
		}
		if !strings.Contains(rules, "runbook: docs/operations.md#"+strings.ToLower(a[1])+"\n") {
			t.Errorf("%s has no runbook", a[1])
		}
	}
	for _, h := range regexp.MustCompile(`(?m)^### (Jetfn\w+)$`).FindAllStringSubmatch(page, -1) {
		if !strings.Contains(rules, "alert: "+h[1]+"\n") {
			t.Errorf("docs/operations.md tells of %s, which is no alert", h[1])
		}
	}
}
