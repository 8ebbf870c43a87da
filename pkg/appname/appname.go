// Package appname says which names an app may have. The name prefixes the app's subjects, streams, buckets and Redis keys.
package appname

import (
	"fmt"
	"regexp"
)

// Rule is what a name must be, in words.
const Rule = "a letter a-z, then at most 30 of a-z, 0-9 and -"

var pattern = regexp.MustCompile(`^[a-z][a-z0-9-]{0,30}$`)

// Valid tells whether an app may have the name.
func Valid(name string) bool { return pattern.MatchString(name) }

// Check returns an error that quotes the name if no app may have it.
func Check(name string) error {
	if !Valid(name) {
		return fmt.Errorf("app %q: want %s", name, Rule)
	}
	return nil
}
