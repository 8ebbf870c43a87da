package service

import (
	"regexp"
	"strings"
)

const masked = "***"

// addressStart is where an address of a list begins. Only known schemes count: anything else
// may be part of a password.
var addressStart = regexp.MustCompile(`(^|,\s*)(nats|tls|wss?|rediss?|unix|https?)://`)

// Mask returns s, an address or a list of them, without its secrets: of what stands
// before an @ only a user name followed by a password remains (a name alone may be a
// token). It would rather hide too much than too little.
func Mask(s string) string {
	var out strings.Builder
	starts := addressStart.FindAllStringIndex(s, -1)
	if len(starts) == 0 || starts[0][0] > 0 {
		starts = append([][]int{{0, 0}}, starts...)
	}
	for i, at := range starts {
		end := len(s)
		if i+1 < len(starts) {
			end = starts[i+1][0]
		}
		out.WriteString(s[at[0]:at[1]])
		out.WriteString(maskUser(s[at[1]:end]))
	}
	return out.String()
}

// maskUser masks one address without its scheme.
func maskUser(address string) string {
	at := strings.LastIndex(address, "@")
	if at < 0 {
		return address
	}
	if user, _, found := strings.Cut(address[:at], ":"); found {
		return user + ":" + masked + address[at:]
	}
	return masked + address[at:]
}
