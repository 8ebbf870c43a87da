package dedup

import (
	"encoding/binary"
	"errors"
	"math/bits"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/lockstep/pkg/frame"
	"github.com/stretchr/testify/require"
)

// applied are the seqs that are recorded, from the floor on.
func (p *Publisher) applied() (out []uint64) {
	for i, w := range p.words {
		for ; w != 0; w &= w - 1 {
			if seq := (p.base+uint64(i))*64 + uint64(bits.TrailingZeros64(w)); seq >= p.floor {
				out = append(out, seq)
			}
		}
	}
	return out
}

func requireSame(t *testing.T, want, got *Publisher) {
	t.Helper()
	require.Equal(t, want.generation, got.generation)
	require.Equal(t, want.birth, got.birth)
	require.Equal(t, want.floor, got.floor)
	require.Equal(t, want.base, got.base)
	require.True(t, want.last.Equal(got.last))
	require.True(t, slices.Equal(want.applied(), got.applied()))
}

// both are the two encodings of p; append chooses one of them.
func (p *Publisher) both() (words, gaps []byte) {
	for _, version := range []byte{encodedWords, encodedGaps} {
		b := binary.AppendUvarint([]byte{version}, p.generation)
		b = binary.AppendVarint(b, p.birth)
		b = binary.AppendUvarint(b, p.floor)
		b = binary.AppendVarint(b, p.last.UnixNano())
		if version == encodedGaps {
			return words, p.appendGaps(b, p.words)
		}
		for _, w := range p.words {
			b = binary.LittleEndian.AppendUint64(b, w)
		}
		words = b
	}
	return words, gaps
}

// FuzzRestore reads what a store returns.
func FuzzRestore(f *testing.F) {
	var r Record
	p, _ := r.Part(session(1, start), 1, start)
	f.Add(p.append(nil))
	p.Admit(100)
	f.Add(p.append(nil))
	for seq := uint64(1); seq < 100; seq++ {
		p.Admit(seq)
	}
	f.Add(p.append(nil))
	p.Admit(1 + frame.MaxSpan)
	words, gaps := p.both()
	f.Add(words)
	f.Add(gaps)
	p.raise(1<<64 - 70)
	p.Admit(1<<64 - 1)
	words, gaps = p.both()
	f.Add(words)
	f.Add(gaps)
	f.Fuzz(func(t *testing.T, b []byte) {
		var r Record
		if err := r.Restore(pub, b); err != nil {
			require.True(t, errors.Is(err, errEncoding) || strings.Contains(err.Error(), "encoding version"), "%v", err)
			require.Contains(t, err.Error(), pub.String())
			require.Zero(t, r.Len())
			return
		}
		p := r.publishers[pub]
		require.LessOrEqual(t, len(p.words), maxWords)
		back, err := decode(p.append(nil))
		require.NoError(t, err)
		requireSame(t, p, back)
		// Bits below the floor are not kept, and may have decided which encoding is the shorter: that of what is left stays.
		once := back.append(nil)
		back, err = decode(once)
		require.NoError(t, err)
		requireSame(t, p, back)
		require.Equal(t, once, back.append(nil))
		words, gaps := p.both()
		for _, other := range [][]byte{words, gaps} {
			back, err = decode(other)
			require.NoError(t, err)
			requireSame(t, p, back)
		}
		// Whatever it was: what is applied is not admitted, what is admitted is not admitted again, and both take no more than they may.
		for _, seq := range p.applied() {
			if p.Admit(seq) {
				t.Fatalf("seq %d is applied again", seq)
			}
		}
		seq := p.floor + min(frame.MaxSpan, 1<<64-1-p.floor)
		p.Admit(seq)
		require.False(t, p.Admit(seq))
		require.False(t, p.floor > 0 && p.Admit(p.floor-1))
		require.LessOrEqual(t, len(p.words), maxWords)
		// It is forgotten in its time, and can be taken back.
		r.Rollback()
		later := p.seen().Add(Retention + 1)
		if later.After(p.seen()) {
			r.expire(later)
			require.Zero(t, r.Len())
			r.Rollback()
			require.Equal(t, 1, r.Len())
		}
	})
}

// FuzzEncodings records what it is told, and reads it from either encoding.
func FuzzEncodings(f *testing.F) {
	f.Add(uint64(1), int64(1), uint64(1), int64(1), []byte{0, 0, 1, 0})
	f.Add(uint64(7), start.UnixMilli(), uint64(1<<50+63), start.UnixNano(), []byte{0xff, 0xff, 0, 1, 2, 3, 4, 5})
	f.Add(uint64(1<<63), int64(-1), uint64(64), int64(-1), []byte(nil))
	f.Fuzz(func(t *testing.T, generation uint64, birth int64, floor uint64, nanos int64, above []byte) {
		p := &Publisher{generation: generation, birth: birth, floor: floor, base: floor / 64, last: time.Unix(0, nanos)}
		var want []uint64
		for ; len(above) > 1; above = above[2:] {
			seq := floor + min(uint64(binary.LittleEndian.Uint16(above)), 1<<64-1-floor)
			require.Equal(t, !slices.Contains(want, seq), p.Admit(seq))
			if !slices.Contains(want, seq) {
				want = append(want, seq)
			}
			if len(want) > 500 {
				break
			}
		}
		slices.Sort(want)
		require.Equal(t, want, p.applied())
		words, gaps := p.both()
		shorter := p.append(nil)
		require.LessOrEqual(t, len(shorter), len(words))
		for _, b := range [][]byte{words, gaps, shorter} {
			back, err := decode(b)
			require.NoError(t, err)
			requireSame(t, p, back)
		}
	})
}
