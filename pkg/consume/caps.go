package consume

import "fmt"

// caps bound the events that a shard has set aside. They are part of its record once an operator has raised them.
type caps struct {
	keys   uint64 // that have a list
	events uint64 // in all lists
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
