package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// peer is one way to process events.
type peer struct {
	name     string // for --only
	title    string
	matrix   bool // runs in every cell, not only in the first
	effect   bool // has effects, which are checked
	ordered  bool // keeps the order of a key's events, which is checked
	promise  promise
	settings string
	run      func(context.Context, *round) (result, error)
}

// promise is what a peer guarantees, as it is set up here.
type promise struct{ order, effects, failover, durable string }

// peers returns all, in the order in which they take turns.
func peers() []*peer {
	return []*peer{
		&rawPeer, &textbookPeer, &textbookOrderedPeer, &watermillPeer, &batchesPeer, &streamsPeer, &rabbitPeer, &framesPeer, &sendPeer, &lockstepPeer,
	}
}

// choosePeers returns those with the names, or all.
func choosePeers(names []string) ([]*peer, error) {
	if len(names) == 0 {
		return peers(), nil
	}
	var known []string
	for _, p := range peers() {
		known = append(known, p.name)
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("--only=%s: there is no such peer: choose from %s", name, strings.Join(known, ", "))
		}
	}
	return slices.DeleteFunc(peers(), func(p *peer) bool { return !slices.Contains(names, p.name) }), nil
}
