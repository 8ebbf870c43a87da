package expect

import (
	"fmt"
	"slices"
)

// CheckUnfinished is Check for a key whose shard has not reached the log's end.
// An account that the key's first events come to is right so far: the others may
// yet be applied. Any other account is wrong: no later event mends it.
func (b *Book) CheckUnfinished(key int, got Account) Finding {
	f := b.Check(key, got)
	if f.Kind == Fine || f.Kind == Duplicated {
		return f
	}
	exceptions := b.unsettled(key, b.exceptions[int32(key)])
	left, found, ok := b.begins(key, exceptions, got)
	sent := b.sent[key]
	switch {
	case found:
		return Finding{Unfinished, left, fmt.Sprintf("%d of %d events applied so far", got.Events, sent)}
	case !ok:
		return Finding{Unknown, 0, fmt.Sprintf("%d of %d events applied so far: too many outcomes to try", got.Events, sent)}
	case f.Kind != Lost:
		return f
	case !b.repeats(key):
		f.Kind, f.Events = Unknown, 0
		f.Detail = notRepeated
		return f
	case slices.ContainsFunc(exceptions, func(e exception) bool { return e.outcome == GivenUp }):
		f.Kind = Unknown
	default:
		f.Kind = Reordered
	}
	f.Events = 0
	f.Detail = fmt.Sprintf("%d of %d events applied so far, and these are not the first ones sent", got.Events, sent)
	return f
}

// begins tells whether an account is what the key's first events come to, with
// some choice of those given up, and how many acknowledged events follow them. It
// is not ok if there are too many choices.
func (b *Book) begins(key int, exceptions []exception, got Account) (left uint64, found, ok bool) {
	chains := []Account{{}}
	l := b.events.newLink()
	digests := 0
	for counter := uint32(1); counter <= b.sent[key]; counter++ {
		outcome := Stored
		if len(exceptions) > 0 && exceptions[0].counter == counter {
			outcome, exceptions = exceptions[0].outcome, exceptions[1:]
		}
		found = found || slices.Contains(chains, got)
		if found {
			if outcome == Stored {
				left++
			}
			continue
		}
		if outcome == NotStored {
			continue
		}
		if digests += len(chains); digests > maxDigests {
			return 0, false, false
		}
		l = b.events.write(l, key, counter)
		var next []Account
		for _, a := range chains {
			if outcome == GivenUp {
				next = append(next, a)
			}
			if a.Events < got.Events {
				next = append(next, a.apply(l, counter))
			}
		}
		if chains = next; len(chains) == 0 {
			return 0, false, true
		}
		if len(chains) > maxChains {
			return 0, false, false
		}
	}
	return left, found, true
}
