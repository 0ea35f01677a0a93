//go:build mutants

package mutant

import "os"

var wanted = os.Getenv("JETFN_MUTANT") //nolint:gochecknoglobals // read once, in test builds only

// On reports whether the break called name is the one that was asked for.
func On(name string) bool { return name == wanted }
