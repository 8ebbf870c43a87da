package parked

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	maxErrorText = 80  // characters of an error in a table
	maxDataText  = 200 // characters of a payload
)

// word is a key, or another text of a client's, as one word: quoted if it has blanks or characters that do not print. A terminal
// must not obey it.
func word(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsGraphic(r) || unicode.IsSpace(r) || r == utf8.RuneError }) {
		return strconv.Quote(s)
	}
	return s
}

// line is a text of several words on one line, cut.
func line(s string, most int) string {
	s, _, more := strings.Cut(s, "\n")
	s = printable(s)
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most]) + "..."
	}
	if more {
		s += " ..."
	}
	return s
}

// printable is a text without the characters that do not print.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsGraphic(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}

// payload is an event's payload on one line, quoted if it does not print as it is.
func payload(data []byte) string {
	s := string(data)
	if !utf8.ValidString(s) || printable(s) != s {
		s = strconv.Quote(string(data[:min(len(data), 4*maxDataText)]))
	}
	return line(s, maxDataText)
}

// moment is a time to the second, in UTC; "-" for none.
func moment(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.DateOnly + "T" + time.TimeOnly + "Z")
}

// count is a number with what it counts.
func count[N int | uint64](n N, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func events(n uint64) string { return count(n, "event", "events") }
