package service

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Bytes is a size in a flag: 64MiB, 1.5GiB, 4096. It is 0 or more.
type Bytes int64

// byteUnits go from the largest to the smallest. K, M, G and T count in 1024, as in memory.
var byteUnits = []struct {
	name  string
	bytes Bytes
}{
	{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"TB", 1 << 40}, {"GB", 1 << 30}, {"MB", 1 << 20}, {"KB", 1 << 10}, {"B", 1},
}

// UnmarshalText reads a size.
func (b *Bytes) UnmarshalText(text []byte) error {
	number, unit := strings.TrimSpace(string(text)), Bytes(1)
	for _, u := range byteUnits {
		if cut, found := strings.CutSuffix(number, u.name); found {
			number, unit = cut, u.bytes
			break
		}
	}
	n, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return fmt.Errorf("%q is not a size: want one like 64MiB or 1.5GiB", text)
	}
	if n *= float64(unit); !(n >= 0 && n < math.MaxInt64) {
		return fmt.Errorf("%s is out of range: want a size from 0 up, like 64MiB", text)
	}
	*b = Bytes(n)
	return nil
}

// String returns the size in the largest unit that divides it.
func (b Bytes) String() string {
	for _, u := range byteUnits {
		if b != 0 && b%u.bytes == 0 {
			return strconv.FormatInt(int64(b/u.bytes), 10) + u.name
		}
	}
	return "0B"
}
