package group

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"maps"
	"strings"
	"sync"

	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// maxProbe bounds the number in a probe that is answered, in bytes.
const maxProbe = 64

func random(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return hex.EncodeToString(b)
}

// asked is a probe under way.
type asked struct {
	id     string // of the member
	proof  string // of its entry; "": it is of an older release, which proves nothing
	result chan<- result
}

type result struct {
	id string
	a  answer
}

// asking holds the probes under way. Their answers come to one inbox.
type asking struct {
	mu     sync.Mutex // guards what follows
	inbox  string     // "": nothing was asked so far
	sub    *nats.Subscription
	probes map[string]asked // by the probe's number
}

// answerProbe proves to a prober that this process is the member: the answer carries its entry's proof and the probe's number.
func (g *Group) answerProbe(m *nats.Msg) {
	if topology.MayAnswer(g.cfg.App, m.Reply) && len(m.Data) <= maxProbe {
		_ = m.Respond(provenAnswer(g.proof, string(m.Data)))
	}
}

func provenAnswer(proof, number string) []byte { return []byte(proof + " " + number) }

// ask probes members side by side and waits for answers until the next probe is due. This member is among them: if its own
// answer does not come, its connection is at fault, and the silence of others tells nothing. An answer without the member's
// proof does not count: otherwise any program that answers would keep a dead member alive.
func (g *Group) ask(ids []string) map[string]answer {
	ctx, cancel := context.WithTimeout(g.hard, probeEvery)
	defer cancel()
	results := make(chan result, len(ids))
	numbers := make([]string, 0, len(ids))
	left := 0
	out := make(map[string]answer, len(ids))
	for _, id := range ids {
		out[id] = silent
		number := random(8)
		numbers = append(numbers, number)
		if g.send(number, asked{id: id, proof: g.proofOf(id), result: results}) {
			left++
		}
	}
	for ; left > 0 && ctx.Err() == nil; left-- {
		select {
		case r := <-results:
			out[r.id] = r.a
		case <-ctx.Done():
		}
	}
	g.asking.forget(numbers)
	if out[g.id] != heard {
		maps.DeleteFunc(out, func(_ string, a answer) bool { return a == silent })
	}
	return out
}

// send sends a probe.
func (g *Group) send(number string, p asked) bool {
	a := &g.asking
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.inbox == "" {
		inbox := g.nc.NewInbox()
		sub, err := g.nc.Subscribe(inbox+".*", g.probeAnswered)
		if err != nil {
			return false
		}
		g.listening.Add(1)
		sub.SetClosedHandler(func(string) { g.listening.Done() })
		a.inbox, a.sub, a.probes = inbox, sub, make(map[string]asked)
	}
	a.probes[number] = p
	return g.nc.PublishRequest(topology.ControlSubject(g.cfg.App, "presence."+p.id), a.inbox+"."+number, []byte(number)) == nil
}

func (a *asking) forget(numbers []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, number := range numbers {
		delete(a.probes, number)
	}
}

// stop ends the listening for answers.
func (a *asking) stop() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.sub != nil {
		_ = a.sub.Unsubscribe() // fails only on a closed connection, which ends it too
	}
}

// probeAnswered takes the answer to a probe: a member's, or the server's that no subscriber listens.
func (g *Group) probeAnswered(m *nats.Msg) {
	number := m.Subject[strings.LastIndexByte(m.Subject, '.')+1:]
	g.asking.mu.Lock()
	defer g.asking.mu.Unlock()
	p, ok := g.asking.probes[number]
	if !ok {
		return
	}
	a := heard
	switch {
	case len(m.Data) == 0 && m.Header.Get("Status") == "503":
		a = refused
	case p.proof != "" && string(m.Data) != string(provenAnswer(p.proof, number)):
		g.cfg.Log.Debug("a probe was answered by something other than the member", "member", p.id)
		return
	}
	delete(g.asking.probes, number)
	p.result <- result{p.id, a}
}

// proofOf returns the proof that a member's answers must carry.
func (g *Group) proofOf(id string) string {
	if id == g.id {
		return g.proof
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.proofs[id]
}

// noteProof remembers the proof in a member's entry. The caller holds mu.
func (g *Group) noteProof(e jetstream.KeyValueEntry) {
	var m Member
	if e != nil && e.Operation() == jetstream.KeyValuePut && json.Unmarshal(e.Value(), &m) == nil {
		g.proofs[e.Key()] = m.Proof
	}
}
