package frame

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// Place names the log that a message was written for: a shard of an epoch. A message that names another place than the one
// it is found at is a copy.
type Place struct {
	Epoch uint64
	Shard int
}

// ErrNoMark means that a message does not begin as batches do: no router wrote it as one.
var ErrNoMark = errors.New("message is not a batch")

// Batch format, and field numbers of a batch's mark.
const (
	batchFormat                                 = 1
	batchMark, markFormat, markEpoch, markShard = 2, 3, 4, 5
	markValue                                   = 0x0b53f74c // no text begins with these bytes
	maxShard                                    = math.MaxInt32
)

// mark is the first field of a batch.
var mark = protowire.AppendFixed32(protowire.AppendTag(nil, batchMark, protowire.Fixed32Type), markValue)

// MaxMarkBytes is how many bytes a batch has before its parts, at most.
const MaxMarkBytes = 5 + 2 + 11 + 6

// AppendMark begins a batch: the mark, the number of its format, and its place. Parts follow.
func AppendMark(b []byte, p Place) []byte {
	b = append(b, mark...)
	b = protowire.AppendTag(b, markFormat, protowire.VarintType)
	b = protowire.AppendVarint(b, batchFormat)
	b = protowire.AppendTag(b, markEpoch, protowire.VarintType)
	b = protowire.AppendVarint(b, p.Epoch)
	b = protowire.AppendTag(b, markShard, protowire.VarintType)
	return protowire.AppendVarint(b, uint64(p.Shard))
}

// ReadMark reads the mark of a batch, and returns its place and its parts. The error is ErrNoMark if the message is no
// batch, or wraps ErrMalformed if it begins like one and cannot be read.
func ReadMark(batch []byte) (p Place, parts []byte, err error) {
	parts, ok := bytes.CutPrefix(batch, mark)
	if !ok {
		return Place{}, nil, ErrNoMark
	}
	var f field
	for _, want := range [...]protowire.Number{markFormat, markEpoch, markShard} {
		if parts, err = next(parts, &f); err != nil {
			return Place{}, nil, err
		}
		is, err := f.is(want, protowire.VarintType)
		switch {
		case err != nil:
			return Place{}, nil, err
		case !is:
			return Place{}, nil, malformed(fmt.Sprintf("batch has field %d where field %d must be", f.num, want))
		case want == markFormat && f.int != batchFormat:
			return Place{}, nil, malformed(fmt.Sprintf("batch format %d is not known to this version, which knows %d", f.int, batchFormat))
		case want == markShard && f.int > maxShard:
			return Place{}, nil, malformed(fmt.Sprintf("batch of shard %d", f.int))
		case want == markEpoch:
			p.Epoch = f.int
		case want == markShard:
			p.Shard = int(f.int)
		}
	}
	return p, parts, nil
}

// String is the place as the header HeaderPlace has it: epoch and shard, with a dot between.
func (p Place) String() string {
	return strconv.FormatUint(p.Epoch, 10) + "." + strconv.Itoa(p.Shard)
}

// ParsePlace reads a place as String writes it. Its error wraps ErrMalformed.
func ParsePlace(s string) (p Place, err error) {
	epoch, shard, _ := strings.Cut(s, ".")
	n, serr := strconv.ParseUint(shard, 10, 31)
	if p.Epoch, err = strconv.ParseUint(epoch, 10, 64); err != nil || serr != nil {
		return Place{}, malformed(fmt.Sprintf("header %s is %q, not an epoch, a dot and a shard", HeaderPlace, s))
	}
	p.Shard = int(n)
	return p, nil
}
