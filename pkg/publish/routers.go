package publish

import (
	"slices"
	"strings"
	"time"
)

const (
	// askEvery is the least time between two asks of the group, while frames go around it.
	askEvery = 250 * time.Millisecond
	// answersToTrust is how many answers in a row make the group trusted: one router of ten that hangs would break the row.
	answersToTrust = 32
	// maxRouters bounds the routers that are remembered.
	maxRouters = 16
)

// routers decides whether a frame goes to the routers' queue group or straight to one of them. A router that hangs keeps
// its place in the group, and NATS goes on to hand it its share of the frames, each of which waits for an answer in vain.
// So once an attempt has had none, frames go around the group, to routers that have answered since: each answer says where
// its router can be reached. Meanwhile the
// group is asked with empty frames, and when it has answered each of them for a while, frames go to it again.
//
// It has no goroutine, no clock and no connection.
type routers struct {
	group, own string        // subjects: of the group, and the prefix of single routers'
	known      []knownRouter // believed to answer
	turn       int           // index in known of the last one used
	awaited    map[uint64]sent

	around   bool
	busy     bool   // a frame has left since the group was asked
	asked    uint64 // so many times
	askedAt  time.Time
	answered uint64 // the last ask that was answered
	trust    int    // answers in a row
}

// knownRouter is one that has answered.
type knownRouter struct {
	subject string
	heard   time.Time // the last time
}

// sent is a frame's newest attempt while it has no answer.
type sent struct {
	to string
	at time.Time
}

func newRouters(group string) *routers {
	return &routers{group: group, own: group + ".", awaited: make(map[uint64]sent)}
}

// send returns the subject for the next attempt at a frame.
func (r *routers) send(frame uint64, now time.Time) (subject string) {
	if silent, ok := r.awaited[frame]; ok {
		r.goAround(silent)
	}
	to := r.group
	if r.around && len(r.known) > 0 {
		r.turn = (r.turn + 1) % len(r.known)
		to = r.known[r.turn].subject
	}
	r.awaited[frame] = sent{to, now}
	r.busy = true
	return to
}

// goAround sends frames around the group, to the routers that have answered after the attempt that got no answer.
func (r *routers) goAround(silent sent) {
	r.around, r.trust = true, 0
	r.known = slices.DeleteFunc(r.known, func(known knownRouter) bool {
		return known.subject == silent.to || !known.heard.After(silent.at)
	})
}

// heard takes an answer to a frame, and the subject of the router that gave it.
func (r *routers) heard(frame uint64, from string, now time.Time) {
	delete(r.awaited, frame)
	r.learn(from, now)
}

// nobody takes the server's answer that no router listens on the subject to which a frame was sent.
func (r *routers) nobody(frame uint64) {
	gone := r.awaited[frame].to
	r.known = slices.DeleteFunc(r.known, func(known knownRouter) bool { return known.subject == gone })
	delete(r.awaited, frame)
}

// drop forgets a frame that is resolved.
func (r *routers) drop(frame uint64) { delete(r.awaited, frame) }

// nextAsk is when the group is to be asked next; zero if it is not.
func (r *routers) nextAsk() time.Time {
	if !r.around || !r.busy && len(r.awaited) == 0 {
		return time.Time{}
	}
	return r.askedAt.Add(askEvery)
}

// ask tells whether to ask the group now, and returns the ask's number.
func (r *routers) ask(now time.Time) (n uint64, ask bool) {
	if due := r.nextAsk(); due.IsZero() || now.Before(due) {
		return 0, false
	}
	if r.answered != r.asked {
		r.trust = 0
	}
	r.asked++
	r.askedAt, r.busy = now, false
	return r.asked, true
}

// askHeard takes an answer to an ask, and the subject of the router that gave it.
func (r *routers) askHeard(n uint64, from string, now time.Time) {
	r.learn(from, now)
	if !r.around || n != r.asked || n == r.answered {
		return // too late to count
	}
	r.answered = n
	if r.trust++; r.trust >= answersToTrust {
		r.around = false
	}
}

// isRouter tells whether a subject is that of a single router.
func (r *routers) isRouter(subject string) bool {
	token, ok := strings.CutPrefix(subject, r.own)
	return ok && token != "" && !strings.Contains(token, ".")
}

func (r *routers) learn(from string, now time.Time) {
	if !r.isRouter(from) {
		return
	}
	i := slices.IndexFunc(r.known, func(known knownRouter) bool { return known.subject == from })
	if i >= 0 {
		r.known[i].heard = now
		return
	}
	if len(r.known) == maxRouters {
		r.known = slices.Delete(r.known, 0, 1)
	}
	r.known = append(r.known, knownRouter{from, now})
}
