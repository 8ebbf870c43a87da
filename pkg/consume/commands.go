package consume

import (
	"fmt"

	"example.com/lockstep/pkg/aside"
	"example.com/lockstep/pkg/frame"
)

// judgement says how the owner acts on an operator's command about a list.
type judgement int

const (
	passOver judgement = iota // it does not fit, and will not
	carryOut                  // it fits: the list is marked with it
	keepBack                  // the list goes on by itself and may come to begin with the command's events
)

// commandOf is a command of the log as a list keeps it.
func commandOf(c frame.Command) aside.Command {
	op := aside.Retry
	if c.Op == frame.CommandDrop {
		op = aside.Drop
	}
	return aside.Command{Op: op, First: c.First, Last: c.Last, Count: c.Count}
}

// judge decides about a command that is the first of those that wait for the list with this head; nil if the key has none. first
// is the id of the list's first event, last that of its event c.Count-1 behind it, "" if there is none. why tells operators why
// a command is passed over.
//
// Commands are judged one after another, and only while none is at work. A replay meets a command sooner than the work of the
// one before it is done, and must come to the same lists.
func judge(h *aside.Head, c aside.Command, first, last string) (_ judgement, why string) {
	switch {
	case h == nil:
		return passOver, "the key has no events set aside"
	case h.Mark.Op != aside.None:
		return keepBack, ""
	case c.First != first && h.Status != aside.Parked:
		return keepBack, ""
	case c.First != first:
		return passOver, fmt.Sprintf("its list begins with event %s, not with %s", first, c.First)
	case c.Count > h.Len():
		return passOver, fmt.Sprintf("its list has %d events, not %d", h.Len(), c.Count)
	case c.Last != last:
		return passOver, fmt.Sprintf("event %d of its list is %s, not %s", c.Count, last, c.Last)
	}
	return carryOut, ""
}

// marked is the head of a list with a command at work that fits. A retry begins anew, with no attempt counted.
func marked(h aside.Head, c aside.Command) aside.Head {
	h.Mark = aside.Mark{Op: c.Op, Until: h.First + c.Count}
	if c.Op == aside.Retry {
		h.Status, h.Attempts = aside.Retrying, 0
	}
	return h
}

// withCommand is the head of a list with one more command that waits. It returns false if too many do.
func withCommand(h aside.Head, c aside.Command) (aside.Head, bool) {
	if len(h.Commands) >= aside.MaxCommands {
		return h, false
	}
	h.Commands = append(h.Commands[:len(h.Commands):len(h.Commands)], c)
	return h, true
}
