package publish

import (
	"slices"
	"strings"
	"time"
)

const (
	// askEvery is how often the group is asked at most, while frames go around it.
	askEvery = 250 * time.Millisecond
	// answersToTrust are so many in a row that a group of some ten with one that hangs would hardly give them.
	answersToTrust = 32
	// maxRouters are known at most.
	maxRouters = 16
)

// routers decides whether a frame goes to the routers' queue group or straight to one of them. A router that hangs keeps
// its place in the group, and NATS goes on to hand it its share of the frames, each of which waits for an answer in vain.
// So once an attempt has had none, frames go around the group, to routers that have answered since: each answer says where
// its router can be reached. Meanwhile the group is asked who is there, and when it has answered without fail for a while,
// frames go to it again.
//
// It has no goroutine, no clock and no connection.
type routers struct {
	group, own string        // subjects: of the group, and how those of single routers begin
	known      []knownRouter // that answer, as far as is known
	turn       int           // whose of the known it is
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

// goAround keeps those routers only that have answered since an attempt to which none did.
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

// nobody takes the server's word that nobody listens where a frame was sent.
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

// ask tells whether to ask the group now who is there, and the ask's number.
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
