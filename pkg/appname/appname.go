// Package appname has the names that a fork makes its own, and says which names an app may have. The app's name prefixes its subjects,
// streams, buckets and Redis keys.
package appname

import (
	"fmt"
	"regexp"
)

// These names are spelled here and in no other place. task fork rewrites them.
const (
	Default   = "lockstep" // the app that a program means if it is told no other
	EnvPrefix = "LOCKSTEP" // begins the name of each environment variable that stands for a flag
	Title     = "Lockstep" // as people read it
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
