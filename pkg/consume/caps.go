package consume

import (
	"fmt"
	"strconv"
	"strings"
)

// caps bound the events that a shard has set aside. They are part of its record once an operator has raised them.
type caps struct {
	keys   uint64 // that have a list
	events uint64 // in all lists
}

// parseCaps reads caps as String writes them; "" is none.
func parseCaps(s string) (c caps, err error) {
	if s == "" {
		return caps{}, nil
	}
	keys, events, _ := strings.Cut(s, " ")
	if c.keys, err = strconv.ParseUint(keys, 10, 64); err == nil {
		c.events, err = strconv.ParseUint(events, 10, 64)
	}
	if err != nil {
		return caps{}, fmt.Errorf("caps %.64q: must be a number of keys and one of events", s)
	}
	return c, nil
}

// String is the caps as the store has them: the keys, a blank, the events.
func (c caps) String() string {
	return strconv.FormatUint(c.keys, 10) + " " + strconv.FormatUint(c.events, 10)
}

// atLeast raises c to what other allows.
func (c caps) atLeast(other caps) caps {
	return caps{keys: max(c.keys, other.keys), events: max(c.events, other.events)}
}

// extent is how much a shard has set aside, committed or not, and how much more that may become.
type extent struct {
	keys, events uint64
	underWay     uint64 // first attempts: each may fail, and its key gets a list
}

// begins tells whether one more first attempt may begin: there is room for its event if it fails.
func (c caps) begins(of extent) bool {
	return of.keys+of.underWay < c.keys && of.events+of.underWay < c.events
}

// joins tells whether one more event may join its key's list.
func (c caps) joins(of extent) bool { return of.events+of.underWay < c.events }

// full says which cap is reached, for operators; "" while first attempts may begin.
func (c caps) full(of extent) string {
	switch {
	case of.events+of.underWay >= c.events:
		return fmt.Sprintf("%d events are set aside, which is its cap", of.events)
	case of.keys+of.underWay >= c.keys:
		return fmt.Sprintf("%d keys have events set aside, which is its cap", of.keys)
	}
	return ""
}
