package service

import (
	"regexp"
	"strings"
)

// plainWord is a word without characters that mean something to a shell.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./:=@%+,-]+$`)

// ShellQuote returns a word as a user types it in a shell: as it is if that is safe, else in single quotes. It serves programs
// that print commands for the user to run.
func ShellQuote(word string) string {
	if plainWord.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
