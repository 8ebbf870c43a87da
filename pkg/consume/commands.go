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

// named are the ids of a list's events that a command is about, as the list has them: of its first event, and of the last one that the
// command counts. "": it has none there.
type named struct{ first, last string }

// lastAt is the index of the last event that the command counts; false: the list's first event is not the command's, or it has fewer.
func (of named) lastAt(h *aside.Head, c aside.Command) (index uint64, ok bool) {
	return h.First + c.Count - 1, c.First == of.first && c.Count >= 1 && c.Count <= h.Len()
}

// judges tells whether a command about the list can be judged when it comes, and needs the ids that it names; l may be nil.
func (l *list) judges() bool { return l != nil && l.stored && len(l.head.Commands) == 0 }

// command is the change that a command makes to its key's list: the list is marked with it, or keeps it until it can be judged. It
// returns nil if the command is passed over; why says why.
func (s *shard) command(key string, c aside.Command, of named) (_ *listChange, why string) {
	l := s.lists[key]
	if l == nil || !l.stored {
		_, why = judge(nil, c, "", "")
		return nil, why
	}
	verdict := keepBack
	if l.judges() {
		verdict, why = judge(&l.head, c, of.first, of.last)
	}
	ch := &listChange{key: key, of: l, left: true}
	switch verdict {
	case carryOut:
		ch.head = marked(l.head, c)
	case keepBack:
		var ok bool
		if ch.head, ok = withCommand(l.head, c); !ok {
			return nil, fmt.Sprintf("%d commands wait for its list already", aside.MaxCommands)
		}
		if l.judges() {
			l.judged = l.head.First + 1
		}
	default:
		return nil, why
	}
	return ch, ""
}

// judgeFirst is the change that the first command that waits for the list makes: it leaves the list's head, which is marked with it,
// unless it is passed over; why says why. It returns nil if the command waits on.
func (l *list) judgeFirst(key string, of named) (_ *listChange, why string) {
	c := l.head.Commands[0]
	ch := &listChange{key: key, of: l, left: true, head: l.head}
	ch.head.Commands = l.head.Commands[1:]
	verdict, why := judge(&l.head, c, of.first, of.last)
	switch verdict {
	case keepBack:
		l.judged = l.head.First + 1
		return nil, ""
	case carryOut:
		ch.head = marked(ch.head, c)
	}
	l.judged = 0
	return ch, why
}
