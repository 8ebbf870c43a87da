package expect

import (
	"fmt"
	"strconv"
	"strings"
)

// Payload sizes in bytes. The smallest holds the longest counter and a space.
const (
	MinSize     = 12
	MaxSize     = 512<<10 - 1024 // an event is at most 512 KiB with its key and headers
	DefaultSize = 128
)

// Size is how many bytes the payloads of a run have, each at least and at most so
// many. The zero value means that none was given.
type Size struct {
	Least, Most int
}

// Bytes is the size of payloads that all have n bytes.
func Bytes(n int) Size { return Size{n, n} }

// ParseSize reads a number of bytes like 128, or a range like 64-1024.
func ParseSize(s string) (Size, error) {
	least, most, ranged := strings.Cut(s, "-")
	if !ranged {
		most = least
	}
	from, err1 := strconv.ParseUint(least, 10, 31)
	to, err2 := strconv.ParseUint(most, 10, 31)
	if err1 != nil || err2 != nil {
		return Size{}, fmt.Errorf("size %q is neither a number of bytes, as in 128, nor a range, as in 64-1024", s)
	}
	size := Size{int(from), int(to)}
	return size, size.check()
}

// UnmarshalText is ParseSize, for flags; an empty text is no size.
func (s *Size) UnmarshalText(text []byte) (err error) {
	if len(text) == 0 {
		*s = Size{}
		return nil
	}
	*s, err = ParseSize(string(text))
	return err
}

// String returns what ParseSize reads.
func (s Size) String() string {
	if s.Least == s.Most {
		return strconv.Itoa(s.Least)
	}
	return fmt.Sprintf("%d-%d", s.Least, s.Most)
}

func (s Size) check() error {
	switch {
	case s.Least < MinSize || s.Most > MaxSize:
		return fmt.Errorf("size must be from %d to %d bytes, not %s", MinSize, MaxSize, s)
	case s.Least > s.Most:
		return fmt.Errorf("size %s must have the smaller number first: set %d-%d", s, s.Most, s.Least)
	}
	return nil
}
