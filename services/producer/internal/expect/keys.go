package expect

import (
	"fmt"
	"math"
	"strconv"
)

// MaxKeys is the largest number of keys in one run.
const MaxKeys = 10_000_000

// Keys names the keys of one run, load-<run>-<index>. The names lie in one
// string, so a million of them cost some 25 MB and no work for the collector.
type Keys struct {
	names  string
	starts []uint32
}

// NewKeys names n keys for a run.
func NewKeys(run string, n int) (Keys, error) {
	if n < 1 || n > MaxKeys {
		return Keys{}, fmt.Errorf("keys must be from 1 to %d, not %d", MaxKeys, n)
	}
	prefix := "load-" + run + "-"
	most := n * (len(prefix) + len(strconv.Itoa(n)))
	if most > math.MaxUint32 {
		return Keys{}, fmt.Errorf("the names of %d keys of run %s are too long together", n, run)
	}
	names := make([]byte, 0, most)
	starts := make([]uint32, n+1)
	for i := range n {
		names = append(names, prefix...)
		names = strconv.AppendInt(names, int64(i), 10)
		starts[i+1] = uint32(len(names))
	}
	return Keys{names: string(names), starts: starts}, nil
}

// Len returns how many keys there are.
func (k Keys) Len() int { return len(k.starts) - 1 }

// Name returns the name of key i, without allocating.
func (k Keys) Name(i int) string { return k.names[k.starts[i]:k.starts[i+1]] }
