package service

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// listSeparator is what stands between the addresses of a list: blanks, or a comma before an address with
// a scheme. Any other comma belongs to its address, as passwords have commas too.
var listSeparator = regexp.MustCompile(`\s+|,\s*((?:` + schemes + `)://)`)

// schemes are those of addresses. Only they begin an address of a list: anything else may be part of a password.
const schemes = `nats|tls|wss?|rediss?|unix|https?`

// Addresses returns the addresses of a list in their order. They are separated by blanks, or by a comma before
// the next one's scheme, as in nats://a:4222,nats://b:4222. A comma elsewhere belongs to its address.
func Addresses(list string) []string {
	return strings.Fields(listSeparator.ReplaceAllString(list, " $1"))
}

// errNotURL takes the place of net/url's errors, which quote parts of what they
// could not read, and so of a password.
var errNotURL = errors.New("not a valid URL (is a special character in the password not percent-encoded?)")

// errComma is for two addresses that would be taken for one.
var errComma = errors.New("a comma does not separate addresses unless a scheme follows it; put a blank between them")

// parseURL reads a URL whose parts are certain: where an @ stands behind the host, a password with a /, ? or #
// in it was taken apart, and what would be taken for the host is a piece of it.
func parseURL(address string) (*url.URL, error) {
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
		return nil, errNotURL
	case strings.Contains(host, ","):
		return nil, errComma
	case err != nil, u.Port() != "" && !isPort(u.Port()):
		return nil, errNotURL
	}
	return u, nil
}

func isPort(text string) bool {
	_, err := strconv.ParseUint(text, 10, 16)
	return err == nil
}

// natsServers returns the addresses of a list of NATS servers, or what is wrong with one of them.
func natsServers(list string) ([]string, error) {
	servers := Addresses(list)
	if len(servers) == 0 {
		return nil, errors.New("want nats://HOST:PORT")
	}
	for _, server := range servers {
		// One of several with a user needs its scheme: what stands there may be the end of a password with a blank in it.
		if len(servers) > 1 && strings.Contains(server, "@") && !strings.Contains(server, "://") {
			return nil, errNotURL
		}
		if err := checkNATS(server); err != nil {
			return nil, err
		}
	}
	return servers, nil
}

func checkNATS(server string) error {
	if !strings.Contains(server, "://") {
		server = "nats://" + server
	}
	u, err := parseURL(server)
	if err != nil {
		return err
	}
	switch u.Scheme {
	case "nats", "tls", "ws", "wss":
	default:
		return fmt.Errorf("want nats://, tls://, ws:// or wss://, not %s://", u.Scheme)
	}
	if u.Hostname() == "" {
		return errors.New("names no host; want nats://HOST:PORT")
	}
	return nil
}
