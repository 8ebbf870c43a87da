package expect

import (
	"fmt"
	"slices"
)

// Account is the state of one key in the ledger. A key that the ledger does not
// know has the zero account.
type Account struct {
	Events  uint64 `json:"events"`
	Balance int64  `json:"balance"`
	Digest  uint64 `json:"digest"`
}

// Kind says what is wrong with a key.
type Kind uint8

const (
	Fine       Kind = iota
	Lost            // the count falls short
	Duplicated      // the count is too high
	Reordered       // the right count with another digest
	Unknown         // events were given up and no outcome of theirs explains the account, or it cannot be told
	Unfinished      // right so far: what is missing lies in the log, before which the key's shard stands
)

func (k Kind) String() string {
	return [...]string{"fine", "lost", "duplicated", "reordered", "unknown", "unfinished"}[k]
}

// Finding is what was found at one key.
type Finding struct {
	Kind   Kind
	Events uint64 // how many are lost, duplicated or unfinished
	Detail string // for people; empty if the key is fine
}

// Limits of the search for the chain of a key with events given up: so many
// chains side by side (12 events either way), so many digests altogether.
const (
	maxChains  = 1 << 12
	maxDigests = 1 << 25
)

// Check compares what the ledger holds for a key with what was sent. The key's
// shard has reached the log's end: what is missing is lost. See CheckUnfinished.
func (b *Book) Check(key int, got Account) Finding {
	exceptions := b.unsettled(key, b.exceptions[int32(key)])
	sent := uint64(b.sent[key])
	if len(exceptions) == 0 {
		want := Account{Events: sent, Balance: int64(sent * (sent + 1) / 2), Digest: b.digest[key]}
		return compare(want, got)
	}

	var givenUp, notStored uint64
	for _, e := range exceptions {
		if e.outcome == GivenUp {
			givenUp++
		} else {
			notStored++
		}
	}
	most := sent - notStored
	least := most - givenUp
	of := fmt.Sprintf("of %d events sent %d were given up and %d not stored", sent, givenUp, notStored)
	switch {
	case got.Events < least:
		return Finding{Lost, least - got.Events, fmt.Sprintf("%s, %d applied, at least %d expected", of, got.Events, least)}
	case got.Events > most:
		return Finding{Duplicated, got.Events - most, fmt.Sprintf("%s, %d applied, at most %d expected", of, got.Events, most)}
	}

	chains, ok := b.chains(key, exceptions, least, most, got.Events)
	if !ok {
		return Finding{Unknown, 0, fmt.Sprintf("%s: too many outcomes to try", of)}
	}
	if slices.Contains(chains, got) {
		return Finding{}
	}
	if !b.repeats(key) {
		return Finding{Unknown, 0, of + ": " + notRepeated}
	}
	if givenUp == 0 {
		return compare(chains[0], got)
	}
	return Finding{Unknown, 0, fmt.Sprintf("%s: no outcome of theirs gives the %d applied with digest %016x and balance %d",
		of, got.Events, got.Digest, got.Balance)}
}

// compare judges a key of which exactly one account is right.
func compare(want, got Account) Finding {
	switch {
	case got.Events < want.Events:
		return Finding{Lost, want.Events - got.Events, fmt.Sprintf("%d of %d events applied", got.Events, want.Events)}
	case got.Events > want.Events:
		return Finding{Duplicated, got.Events - want.Events, fmt.Sprintf("%d events applied, %d expected", got.Events, want.Events)}
	case got.Digest != want.Digest:
		return Finding{Reordered, 0, fmt.Sprintf("%d events applied as expected, digest %016x, expected %016x", got.Events, got.Digest, want.Digest)}
	case got.Balance != want.Balance:
		return Finding{Unknown, 0, fmt.Sprintf("count and digest as expected, balance %d, expected %d", got.Balance, want.Balance)}
	}
	return Finding{}
}

// unsettled adds the events whose outcome was never told: they were given up.
func (b *Book) unsettled(key int, exceptions []exception) []exception {
	settled := b.settled[key].Load()
	if settled >= b.sent[key] {
		return exceptions
	}
	all := append([]exception(nil), exceptions...)
	for c := settled + 1; c <= b.sent[key]; c++ {
		all = append(all, exception{c, GivenUp})
	}
	return all
}

// notRepeated is what is wrong with a key of which repeats is false.
const notRepeated = "generate returned other payloads when asked again, but must decide from its Draw alone"

// repeats tells whether the payloads of a key come out as they were sent.
func (b *Book) repeats(key int) bool {
	l, digest := b.events.newLink(), uint64(0)
	for counter := uint32(1); counter <= b.sent[key]; counter++ {
		l = b.events.write(l, key, counter)
		digest = l.after(digest)
	}
	return digest == b.digest[key]
}

// chains returns the accounts that a key can have after events applied, one for
// each choice of the events given up. least and most are the fewest and the
// most events that may have been applied. It is false if there are too many.
func (b *Book) chains(key int, exceptions []exception, least, most, events uint64) ([]Account, bool) {
	chains := []Account{{}}
	l := b.events.newLink()
	digests := 0
	certain, open := least, most-least // ahead of us: must be applied, may be
	for counter := uint32(1); counter <= b.sent[key]; counter++ {
		outcome := Stored
		if len(exceptions) > 0 && exceptions[0].counter == counter {
			outcome, exceptions = exceptions[0].outcome, exceptions[1:]
		}
		if outcome == NotStored {
			continue
		}
		if digests += len(chains); digests > maxDigests {
			return nil, false
		}
		l = b.events.write(l, key, counter)
		if outcome == Stored {
			certain--
			for i := range chains {
				chains[i] = chains[i].apply(l, counter)
			}
			continue
		}
		open--
		var next []Account
		for _, a := range chains {
			if a.Events+certain+open >= events {
				next = append(next, a)
			}
			if a.Events+1+certain <= events {
				next = append(next, a.apply(l, counter))
			}
		}
		if chains = next; len(chains) > maxChains {
			return nil, false
		}
	}
	return chains, true
}

func (a Account) apply(l link, counter uint32) Account {
	return Account{Events: a.Events + 1, Balance: a.Balance + int64(counter), Digest: l.after(a.Digest)}
}
