package redis

import (
	"strings"
	"testing"

	"example.com/lockstep/pkg/store"
	"github.com/stretchr/testify/require"
)

// FuzzRecord reads a shard's fields, as Redis returns them.
func FuzzRecord(f *testing.F) {
	all := []string{
		fieldFence, "7", fieldPosition, "1 2 1700000000123456789", fieldOwed, "r", fieldLate, "3", fieldLateLast, "publisher x", fieldCaps, "c",
		"a later version's", "x",
	}
	f.Add(strings.Join(all, "\n"))
	for i := 0; i < len(all); i += 2 {
		f.Add(all[i] + "\n" + all[i+1])
		f.Add(all[i] + "\n-1")
	}
	f.Fuzz(func(t *testing.T, all string) {
		fields := strings.Split(all, "\n")
		var rec store.Record
		for i := 0; i+1 < len(fields); i += 2 {
			field, value := fields[i], fields[i+1]
			before := rec
			if setField(&rec, field, value) != nil {
				return // the claim fails
			}
			switch {
			case field == fieldPosition:
				want, err := store.ParsePosition(value)
				require.NoError(t, err)
				require.Equal(t, want, rec.Position)
			case field == fieldLateLast:
				require.Equal(t, value, rec.LateLast)
			case field == fieldOwed:
				require.Equal(t, value, string(rec.Owed))
			case field == fieldCaps:
				require.Equal(t, value, rec.Caps)
			case field != fieldFence && field != fieldLate:
				require.Equal(t, before, rec, "of a field that is not known")
			}
		}
	})
}

// FuzzPage reads a page of publishers: no field counts twice, and take gets publishers only.
func FuzzPage(f *testing.F) {
	f.Add("fence\n7\ndedup:00ff\n\x01\x02\ndedup:00ff\n\x01\x02")
	f.Fuzz(func(t *testing.T, all string) {
		var page []any
		distinct := make(map[string]bool)
		fields := strings.Split(all, "\n")
		for i, field := range fields {
			page = append(page, field)
			if i%2 == 1 {
				distinct[fields[i-1]] = true
			}
		}
		got := make(map[string]bool)
		s := scan{take: ofPublishers(func(id string, _ []byte) (bool, error) {
			added := !got[id]
			got[id] = true
			return added, nil
		})}
		total, next, err := s.add([]any{int64(5), "12", page})
		require.NoError(t, err)
		require.Equal(t, 5, total)
		require.Equal(t, "12", next)
		require.Equal(t, len(distinct), s.added)
		for id := range got {
			require.True(t, distinct[dedupPrefix+id])
		}
	})
}
