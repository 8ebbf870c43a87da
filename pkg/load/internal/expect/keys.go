package expect

import (
	"fmt"
	"iter"
	"math"
	"slices"
	"strconv"
	"strings"

	"example.com/lockstep/pkg/frame"
)

// MaxKeys is the largest number of keys in one run.
const MaxKeys = 10_000_000

// maxNames is how many bytes the names of all keys may have together: places in them are kept in 32 bits, and a string of
// a machine of 32 bits has 2 GiB at most.
const maxNames int64 = min(math.MaxUint32, math.MaxInt)

// Keys names the keys of one run, load-<run>-<index> or the like. The
// names lie in one string, so a million of them cost some 25 MB and no work for the collector.
type Keys struct {
	names  string
	starts []uint32
}

// NewKeys names n keys for a run: load-<run>-<index>, with what the application calls the key before the index, if it does.
func NewKeys(run string, n int, called func(key int) string) (Keys, error) {
	if n < 1 || n > MaxKeys {
		return Keys{}, fmt.Errorf("keys must be from 1 to %d, not %d", MaxKeys, n)
	}
	prefix := prefix(run)
	names := make([]byte, 0, min(int64(n)*int64(len(prefix)+len(strconv.Itoa(n))), maxNames))
	starts := make([]uint32, n+1)
	for i := range n {
		names = append(names, prefix...)
		if name := called(i); name != "" {
			names = append(append(names, name...), '-')
		}
		names = strconv.AppendInt(names, int64(i), 10)
		if int64(len(names)) > maxNames {
			return Keys{}, fmt.Errorf("the names of %d keys of run %s are too long: %d bytes are reached at key %d", n, run, maxNames, i)
		}
		if err := frame.CheckKey(names[starts[i]:]); err != nil {
			return Keys{}, fmt.Errorf("generate named key %d %.32q: %w", i, called(i), err)
		}
		starts[i+1] = uint32(len(names))
	}
	return Keys{names: string(names), starts: starts}, nil
}

// NamedKeys gives the keys of a run names of their own, load-<run>-<name>. Names
// must be distinct; an error tells of one that is no key.
func NamedKeys(run string, names iter.Seq[string]) (Keys, error) {
	var all strings.Builder
	starts := []uint32{0}
	for name := range names {
		if err := frame.CheckKey(prefix(run) + name); err != nil {
			return Keys{}, fmt.Errorf("key %.32q of run %s: %w", name, run, err)
		}
		if int64(all.Len())+int64(len(prefix(run))+len(name)) > maxNames || len(starts) > MaxKeys {
			return Keys{}, fmt.Errorf("the keys of run %s are too many or too long together: at most %d keys and %d bytes of names", run, MaxKeys, maxNames)
		}
		all.WriteString(prefix(run))
		all.WriteString(name)
		starts = append(starts, uint32(all.Len()))
	}
	if len(starts) == 1 {
		return Keys{}, fmt.Errorf("run %s has no keys: it needs one or more", run)
	}
	return Keys{names: all.String(), starts: slices.Clone(starts)}, nil
}

// LongestName is how many bytes NamedKeys has room for in a name.
func LongestName(run string) int { return frame.MaxKeyBytes - len(prefix(run)) }

func prefix(run string) string { return "load-" + run + "-" }

// Len returns how many keys there are.
func (k Keys) Len() int { return len(k.starts) - 1 }

// Name returns the name of key i, without allocating.
func (k Keys) Name(i int) string { return k.names[k.starts[i]:k.starts[i+1]] }
