package address

import (
	"regexp"
	"strings"
)

// Masked replaces a secret.
const Masked = "***"

// addressStart is where an address of a list begins. Only known schemes count: anything else may be part of a password.
var addressStart = regexp.MustCompile(`(^|[,\s]\s*)(` + schemes + `)://`)

// Mask returns s, an address or a list of them, without its secrets: what stands before an @, but for a user name that a password
// follows (a name alone may be a token), and the value of an option whose name ends in "password". In doubt it hides too much
// rather than too little.
func Mask(s string) string { return maskEach(s, maskParts) }

func maskParts(address string) string { return maskUser(maskOptions(address)) }

// MaskRefused is Mask for a text that could not be read as an address: in place of a port it may have a password whose host
// is missing.
func MaskRefused(s string) string {
	return maskEach(s, func(address string) string {
		return maskNoPort(maskUser(maskRest.ReplaceAllString(address, "$1"+Masked)))
	})
}

// maskEach masks each address of a list without its scheme.
func maskEach(s string, mask func(string) string) string {
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
		out.WriteString(mask(s[at[1]:end]))
	}
	return out.String()
}

// Options that hold a password, to the next option or, where a password may hold an & that is not percent-encoded, to the end. In a
// text a colon or a quote may follow.
var (
	maskOption = regexp.MustCompile(`(?i)([?&][a-z_]*password=)(?:[^&\s]*[^&\s:"])?`)
	maskRest   = regexp.MustCompile(`(?i)([?&][a-z_]*password=)\S*`)
)

func maskOptions(address string) string { return maskOption.ReplaceAllString(address, "$1"+Masked) }

// maskUser masks one address without its scheme.
func maskUser(address string) string {
	at := strings.LastIndex(address, "@")
	if at < 0 {
		return address
	}
	if user, _, found := strings.Cut(address[:at], ":"); found {
		return user + ":" + Masked + address[at:]
	}
	return Masked + address[at:]
}

// number is a port, or the end of an IPv6 address after its last colon, and a path, query or fragment if there is one.
var number = regexp.MustCompile(`^([0-9]*|[0-9a-fA-F]*\])([/?#].*)?$`)

// maskNoPort masks the text after the first colon of an address without an @, unless it is a port.
func maskNoPort(address string) string {
	if strings.Contains(address, "@") || strings.HasPrefix(address, "[") {
		return address
	}
	host, port, found := strings.Cut(address, ":")
	if !found || number.MatchString(port) {
		return address
	}
	return host + ":" + Masked
}

// maskedAddress is an address with a user within a text, such as an error of the flags' parser.
var maskedAddress = regexp.MustCompile(`((?:` + schemes + `)://)(\S*)@`)

// MaskIn returns a text without the secrets of the addresses in it. known are values that it may quote in full, such as a
// program's arguments.
func MaskIn(text string, known []string) string {
	for _, value := range known {
		_, after, _ := strings.Cut(value, "=")
		for _, secret := range []string{value, after} {
			if strings.Contains(secret, "@") || maskOption.MatchString(secret) {
				text = strings.ReplaceAll(text, secret, Mask(secret))
			}
		}
	}
	return maskedAddress.ReplaceAllStringFunc(maskOptions(text), func(found string) string {
		at := maskedAddress.FindStringSubmatchIndex(found)
		return found[:at[3]] + maskUser(found[at[3]:])
	})
}
