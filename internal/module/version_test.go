package module_test

import (
	"strings"
	"testing"

	"github.com/jetfn/jetfn/internal/module"
)

func versionOf(url, more string) string {
	return "---\nkind: io.statefun.endpoints.v2/http\nspec:\n  functions: shop/cart\n  urlPathTemplate: " + url + "\n" + more
}

func TestVersionsOfAFunctionNeedWeights(t *testing.T) {
	t.Parallel()
	const one, two = "http://one:1/", "http://two:1/"
	for name, c := range map[string]struct{ text, want string }{
		"two":               {versionOf(one, "  weight: 9\n") + versionOf(two, "  weight: 1\n"), ""},
		"one":               {versionOf(one, "  weight: 9\n"), ""},
		"by header":         {versionOf(one, "  weight: 9\n  header: {Jetfn-Version: a}\n") + versionOf(one, "  weight: 1\n  header: {jetfn-version: b}\n"), ""},
		"none":              {versionOf(one, "") + versionOf(two, ""), "m.yaml:9:14: error: spec.functions: function shop/cart is declared already, at m.yaml:4:14 (to have several versions side by side, give each a weight)"},
		"one of two":        {versionOf(one, "  weight: 1\n") + versionOf(two, ""), "m.yaml:10:14: error: spec.functions: function shop/cart is declared already"},
		"nothing":           {versionOf(one, "  weight: 0\n") + versionOf(two, "  weight: 0\n"), "m.yaml:4:14: error: spec.functions: no version of shop/cart has any weight"},
		"the same":          {versionOf(one, "  weight: 1\n") + versionOf(one, "  weight: 2\n"), "m.yaml:10:14: error: spec.functions: this version of shop/cart has the URL and the header of the one at m.yaml:4:14"},
		"negative":          {versionOf(one, "  weight: -1\n"), "m.yaml:6:11: error: spec.weight: must be"},
		"half":              {versionOf(one, "  weight: 0.5\n"), "m.yaml:6:11: error: spec.weight: must be"},
		"a header of ours":  {versionOf(one, "  header: {content-type: x}\n"), "m.yaml:6:12: error: spec.header.content-type: calls have a header Content-Type of their own"},
		"a header twice":    {versionOf(one, "  header: {a-b: x, A-B: y}\n"), "m.yaml:6:20: error: spec.header.A-B: the header A-B is there already"},
		"no header's name":  {versionOf(one, "  header: {a b: x}\n"), `error: spec.header.a b: "a b" is no name of a header`},
		"a header of lines": {versionOf(one, "  header: {a: \"x\\ny\"}\n"), "error: spec.header.a: a header has one line"},
	} {
		_, found := module.Parse([]module.Source{{Name: "m.yaml", Data: []byte(c.text)}}, module.Options{})
		if got := found.Errors().Error(); c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestShownModulesHaveNoSecrets(t *testing.T) {
	t.Parallel()
	text := `kind: io.statefun.endpoints.v2/http
spec:
  functions: shop/cart
  urlPathTemplate: https://jetfn:hunter2@shop:1/?key=abc&x=${KEY}
  header: {Authorization: Bearer zzz, Jetfn-Version: v2}
---
kind: io.statefun.endpoints.v2/http
spec:
  functions: shop/other
  urlPathTemplate: ${SCHEME}://jetfn:${PASSWORD:-qwerty}@shop:1/
---
kind: io.statefun.kafka.v1/egress
spec:
  id: shop/out
  address: kafka:9092
  properties:
    - sasl.jaas.config: |
        some module
        password="pw1";
    - ssl.key.password: ${KEY}
    - client.id: shop
`
	got := string(module.Redact([]module.Source{{Name: "m.yaml", Data: []byte(text)}})[0].Data)
	want := strings.NewReplacer("hunter2", "***", "abc", "***", "Bearer zzz", "***", "qwerty", "***", "some module", "***", `password="pw1";`, "***").Replace(text)
	if got != want {
		t.Errorf("Redact:\n%s\nwant:\n%s", got, want)
	}
}
