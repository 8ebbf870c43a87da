package consume

import (
	"encoding/binary"
	"errors"
)

// appendOwed encodes receipts as a commit keeps them: a list of sessions, each with its publisher's 16 bytes, its generation, the
// number of its seqs, and the seqs, each as its difference from the one before. Numbers are varints.
func appendOwed(b []byte, owed map[receiptTo][]uint64) []byte {
	for to, seqs := range owed {
		b = append(b, to.publisher[:]...)
		b = binary.AppendUvarint(b, to.generation)
		b = binary.AppendUvarint(b, uint64(len(seqs)))
		before := uint64(0)
		for _, seq := range seqs {
			b = binary.AppendVarint(b, int64(seq-before))
			before = seq
		}
	}
	return b
}

// decodeOwed reads what appendOwed wrote.
func decodeOwed(b []byte) (map[receiptTo][]uint64, error) {
	out := make(map[receiptTo][]uint64)
	for len(b) > 0 {
		var to receiptTo
		if len(b) < len(to.publisher) {
			return nil, errOwed
		}
		b = b[copy(to.publisher[:], b):]
		var n uint64
		var ok bool
		if to.generation, b, ok = uvarint(b); !ok {
			return nil, errOwed
		}
		if n, b, ok = uvarint(b); !ok || n > uint64(len(b)) {
			return nil, errOwed
		}
		seqs := make([]uint64, 0, n)
		before := uint64(0)
		for range n {
			d, size := binary.Varint(b)
			if size <= 0 {
				return nil, errOwed
			}
			b = b[size:]
			before += uint64(d)
			seqs = append(seqs, before)
		}
		out[to] = append(out[to], seqs...)
	}
	return out, nil
}

var errOwed = errors.New("the record's receipts cannot be read")

func uvarint(b []byte) (v uint64, rest []byte, ok bool) {
	v, n := binary.Uvarint(b)
	if n <= 0 {
		return 0, nil, false
	}
	return v, b[n:], true
}
