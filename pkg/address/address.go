// Package address reads the addresses of servers as users give them, and masks their secrets.
package address

import (
	"errors"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// listSeparator separates the addresses of a list: blanks, or a comma before an address with a scheme. Any other comma belongs
// to its address, for passwords have commas too.
var listSeparator = regexp.MustCompile(`\s+|,\s*((?:` + schemes + `)://)`)

// schemes are the known schemes. Only they begin an address of a list: anything else may be part of a password.
const schemes = `nats|tls|wss?|rediss?|unix|https?`

// Split returns the addresses of a list in their order. They are separated by blanks, or by a comma before
// the next one's scheme, as in nats://a:4222,nats://b:4222. A comma elsewhere belongs to its address.
func Split(list string) []string {
	return strings.Fields(listSeparator.ReplaceAllString(list, " $1"))
}

// ErrNotURL takes the place of net/url's errors: they quote parts of an address, and so of its password.
var ErrNotURL = errors.New("not a valid URL (is a special character in the password not percent-encoded?)")

// ErrComma means that two addresses would be taken for one.
var ErrComma = errors.New("a comma does not separate addresses unless a scheme follows it; put a blank between them")

// Parse reads a URL and refuses one whose parts are uncertain: an @ after the host means that a password holds an unescaped
// /, ? or #, and that the host is a piece of it. Its errors quote nothing of the address.
func Parse(address string) (*url.URL, error) {
	scheme, rest, _ := strings.Cut(address, "://")
	end := len(rest)
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		end = i
	}
	host := rest[strings.LastIndex(rest[:end], "@")+1 : end]
	u, err := url.Parse(address)
	switch {
	case scheme == "unix" && err == nil && host == "": // its path is a file's and may hold an @
		return u, nil
	case scheme == "unix", strings.Contains(rest[end:], "@"):
		return nil, ErrNotURL
	case strings.Contains(host, ","):
		return nil, ErrComma
	case err != nil, u.Port() != "" && !IsPort(u.Port()):
		return nil, ErrNotURL
	}
	return u, nil
}

// IsPort tells whether text is a port number.
func IsPort(text string) bool {
	_, err := strconv.ParseUint(text, 10, 16)
	return err == nil
}
