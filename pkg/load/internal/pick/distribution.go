package pick

import (
	"fmt"
	"strconv"
	"strings"
)

// Exponents of a zipf distribution. Below, it is hardly told from uniform;
// above, one key has all but a thousandth of the events.
const (
	MinExponent = 0.5
	MaxExponent = 10
)

// Distribution says how events spread over keys. The zero value is Uniform.
type Distribution struct {
	kind     kind
	exponent float64 // zipf: of the rank
	share    float64 // hot: of all events, above 0 and below 1
	hot      int     // hot: number of keys that get this share
	path     string  // file
}

type kind uint8

const (
	kindUniform kind = iota
	kindSequential
	kindZipf
	kindHot
	kindFile
)

// Uniform gives every key the same chance.
var Uniform = Distribution{}

// Parse reads one of
//
//	uniform     every key with the same chance
//	sequential  every key in turn
//	zipf:S      the key of rank r, counting from 1, in proportion to 1/r^S
//	hot:P:N     the first N keys get the share P of all events, each as much as
//	            the others; the remaining keys get the remaining share, likewise
//	file:PATH   the keys of a file, a line an event, in its order and then again
//
// A file is not read before Open.
func Parse(s string) (Distribution, error) {
	name, args, _ := strings.Cut(s, ":")
	switch {
	case s == "uniform":
		return Uniform, nil
	case s == "sequential":
		return Distribution{kind: kindSequential}, nil
	case name == "zipf":
		return parseZipf(s, args)
	case name == "hot":
		return parseHot(s, args)
	case name == "file" && args != "":
		return Distribution{kind: kindFile, path: args}, nil
	}
	return Distribution{}, fmt.Errorf("distribution %q is none of uniform, sequential, zipf:S (as in zipf:1.0), hot:P:N (as in hot:0.9:10) and file:PATH", s)
}

func parseZipf(s, exponent string) (Distribution, error) {
	e, err := strconv.ParseFloat(exponent, 64)
	if err != nil || !(e >= MinExponent && e <= MaxExponent) {
		return Distribution{}, fmt.Errorf("distribution %q: the exponent must be a number from %g to %d, as in zipf:1.0", s, MinExponent, MaxExponent)
	}
	return Distribution{kind: kindZipf, exponent: e}, nil
}

func parseHot(s, args string) (Distribution, error) {
	share, keys, _ := strings.Cut(args, ":")
	p, err := strconv.ParseFloat(share, 64)
	if err != nil || !(p > 0 && p < 1) {
		return Distribution{}, fmt.Errorf("distribution %q: the hot keys' share must be a number above 0 and below 1, as in hot:0.9:10", s)
	}
	n, err := strconv.Atoi(keys)
	if err != nil || n < 1 {
		return Distribution{}, fmt.Errorf("distribution %q: the number of hot keys must be a whole number from 1, as in hot:0.9:10", s)
	}
	return Distribution{kind: kindHot, share: p, hot: n}, nil
}

// UnmarshalText is Parse, for flags.
func (d *Distribution) UnmarshalText(text []byte) (err error) {
	*d, err = Parse(string(text))
	return err
}

// String returns what Parse reads.
func (d Distribution) String() string {
	switch d.kind {
	case kindSequential:
		return "sequential"
	case kindZipf:
		return "zipf:" + number(d.exponent)
	case kindHot:
		return "hot:" + number(d.share) + ":" + strconv.Itoa(d.hot)
	case kindFile:
		return "file:" + d.path
	default:
		return "uniform"
	}
}

func number(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }

// Recorded tells whether the keys of events are those of a file. Then nothing
// else is known of the distribution before Open.
func (d Distribution) Recorded() bool { return d.kind == kindFile }

// Check returns an error if there are not as many keys as the distribution
// needs. A recorded one is not checked: see Trace.Check.
func (d Distribution) Check(keys int) error {
	switch {
	case d.Recorded():
		return nil
	case keys < 1:
		return fmt.Errorf("keys must be at least 1, not %d", keys)
	case d.kind == kindHot && d.hot >= keys:
		return fmt.Errorf("distribution %s leaves no key for the other events: it needs at least %d keys, not %d", d, d.hot+1, keys)
	}
	return nil
}
