package service

import (
	"regexp"
	"strings"
)

// plainWord is what no shell takes for more than its characters.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./:=@%+,-]+$`)

// ShellQuote returns a word as a user types it in a shell: as it is where that is safe, else in single quotes.
// For commands that a program prints to be run.
func ShellQuote(word string) string {
	if plainWord.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
