package consume

import (
	"fmt"
	"log/slog"
	"strconv"
	"unicode/utf8"

	"github.com/cespare/xxhash/v2"
)

// maxPrintedKey is how many bytes of a key's printable form a log line holds.
const maxPrintedKey = 64

// keyHash is the key's hash by which the ring finds its shard: it tells keys apart that cannot be printed whole.
func keyHash(key string) slog.Attr {
	return slog.String("key_hash", fmt.Sprintf("%016x", xxhash.Sum64String(key)))
}

// printableKey is a key as a log line may hold it: unprintable characters are escaped as in Go, and a long key is cut.
func printableKey(key string) slog.Attr {
	var out []byte
	for rest := key; rest != ""; {
		_, n := utf8.DecodeRuneInString(rest)
		quoted := strconv.Quote(rest[:n])
		if len(out)+len(quoted)-2 > maxPrintedKey {
			out = append(out, "..."...)
			break
		}
		out = append(out, quoted[1:len(quoted)-1]...)
		rest = rest[n:]
	}
	return slog.String("key", string(out))
}
