package main

import (
	"context"
	"slices"
	"strings"

	"example.com/lockstep/pkg/consume"
)

// Tags is a key's state: a set of strings, sorted. It shows neither how many events there were, nor which one was the last.
type Tags []string

// Rules are the application's own flags: none.
type Rules struct{}

// Handler returns what applies events.
func (Rules) Handler() consume.Handler { return consume.Typed(Apply) }

// Apply adds a tag to the set or removes one, as in `7 add red`.
func Apply(_ context.Context, tags *Tags, ev consume.Event) error {
	_, order, _ := strings.Cut(string(ev.Data), " ")
	verb, tag, _ := strings.Cut(order, " ")
	at, has := slices.BinarySearch(*tags, tag)
	switch {
	case verb == "add" && !has:
		*tags = slices.Insert(*tags, at, tag)
	case verb == "remove" && has:
		*tags = slices.Delete(*tags, at, at+1)
	}
	return nil
}
