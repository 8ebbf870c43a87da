package main

import (
	"context"
	"strings"
	"testing"
)

// stored has the effects of what the sources of a book draw, as a peer would.
func stored(b *book, senders, events int) map[string]*account {
	out := map[string]*account{}
	for i := range senders {
		s := b.source(i, senders)
		for range events {
			ev := s.next()
			if out[ev.key] == nil {
				out[ev.key] = &account{}
			}
			out[ev.key].apply(ev.payload)
		}
	}
	return out
}

func reader(accounts map[string]*account) func(context.Context, []string) ([]account, error) {
	return func(_ context.Context, keys []string) (out []account, _ error) {
		for _, k := range keys {
			if a := accounts[k]; a != nil {
				out = append(out, *a)
			} else {
				out = append(out, account{})
			}
		}
		return out, nil
	}
}

func TestBook(t *testing.T) {
	b := newBook("t", 2500, 4, 128)
	accounts := stored(b, 3, 5000)
	check := func(want tally, ordered, unordered string) {
		t.Helper()
		got, err := b.check(t.Context(), reader(accounts))
		if err != nil || got != want {
			t.Fatalf("got %+v, %v, want %+v", got, err, want)
		}
		for keeps, want := range map[bool]string{true: ordered, false: unordered} {
			if err := got.judge(keeps); (err != nil) != (want != "") || err != nil && !strings.Contains(err.Error(), want) {
				t.Fatalf("judged %v, want %q", err, want)
			}
		}
	}
	check(tally{}, "", "")
	accounts["t-7"].Chain++
	check(tally{reordered: 1}, "1 keys out of order", "")
	accounts["t-8"].Events -= 2
	check(tally{reordered: 1, lost: 2}, "2 events lost", "2 events lost")
	accounts["t-9"].Events++
	check(tally{reordered: 1, lost: 2, doubled: 1}, "1 doubled", "1 doubled")
}

func TestSourcesShareTheKeys(t *testing.T) {
	b := newBook("t", 10, 4, minSize)
	seen := map[string]int{}
	for i := range 3 {
		s := b.source(i, 3)
		for range 500 {
			ev := s.next()
			if owner, known := seen[ev.key]; known && owner != i {
				t.Fatalf("%s is drawn by two", ev.key)
			}
			seen[ev.key] = i
			if len(ev.payload) != minSize || ev.shard < 0 || ev.shard >= 4 {
				t.Fatalf("event %+v", ev)
			}
		}
	}
	if len(seen) != 10 {
		t.Fatalf("%d of 10 keys are drawn", len(seen))
	}
}

func TestAccountIsReadAsWritten(t *testing.T) {
	a := account{Balance: -5}
	a.apply([]byte("12 abc"))
	if a.Balance != 7 || a.Events != 1 || a.Chain == 0 {
		t.Fatalf("%+v", a)
	}
	if got, err := decodeAccount(a.encode(nil)); err != nil || got != a {
		t.Fatalf("%+v, %v", got, err)
	}
	if got, err := decodeAccount(nil); err != nil || got != (account{}) {
		t.Fatalf("%+v, %v", got, err)
	}
	for _, bad := range []string{"x", "1 2", "1 2 x", "x 1 2", "1 -1 2"} {
		if _, err := decodeAccount([]byte(bad)); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}
