package consume

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats.go"
)

const (
	tokenAnswerTime = time.Second // for a member to look for a token
	tokenTries      = 5           // a store that is flushed or fails over meanwhile answers wrongly once
	tokenAskedOf    = 16          // members, at most
)

// errAnotherStore means that the members of the group use another store than this worker.
var errAnotherStore = errors.New("this worker and the others use different stores")

// tokenQuestion asks a member, on <app>.ctl.store.<its id>, for the value that its store has under a name.
type tokenQuestion struct {
	Token string `json:"token"`
}

// tokenAnswer is the member's answer.
type tokenAnswer struct {
	Worker string `json:"worker"`          // its name, for people
	Value  string `json:"value"`           // "": nothing
	Error  string `json:"error,omitempty"` // why its store could not be asked
}

func (w *Worker) tokenSubject(member string) string {
	return topology.ControlSubject(w.cfg.App, "store."+member)
}

// answerTokens answers other members until stop.
func (w *Worker) answerTokens() (stop func(), err error) {
	done := make(chan struct{})
	sub, err := w.nc.Subscribe(w.tokenSubject(w.group.ID()), w.answerToken)
	if err != nil {
		return nil, fmt.Errorf("answer which store this worker uses: %w", err)
	}
	sub.SetClosedHandler(func(string) { close(done) })
	return func() {
		_ = sub.Unsubscribe() // fails only on a closed connection, which ends it too
		<-done
	}, nil
}

func (w *Worker) answerToken(m *nats.Msg) {
	var q tokenQuestion
	if json.Unmarshal(m.Data, &q) != nil || q.Token == "" || !topology.MayAnswer(w.cfg.App, m.Reply) {
		return
	}
	ctx, cancel := context.WithTimeout(w.watching, tokenAnswerTime)
	defer cancel()
	a := tokenAnswer{Worker: w.cfg.Name}
	var err error
	if a.Value, err = w.store.Token(ctx, q.Token); err != nil {
		a.Error = err.Error()
	}
	b, err := json.Marshal(a)
	if err != nil {
		panic(err) // three strings
	}
	_ = m.Respond(b) // fails only without a connection: then the other member has stopped waiting
}

// sharesStore proves that this worker uses the same store as other members: it leaves a token, and one of them finds it. A
// store of its own would look like a store that lost everything, and be filled from the log, while the others go on with
// theirs. It is sure if one has found it, or there is no other member. The error wraps errAnotherStore.
func (w *Worker) sharesStore(ctx context.Context, others []string) (sure bool, err error) {
	if len(others) > tokenAskedOf {
		others = others[:tokenAskedOf]
	}
	for range tokenTries {
		if sure, err = w.findsToken(ctx, others); !errors.Is(err, errAnotherStore) {
			return sure, err
		}
		if sleep(ctx, nil, w.waits.token) {
			return false, context.Cause(ctx)
		}
	}
	return false, err
}

// findsToken leaves a token once and asks for it.
func (w *Worker) findsToken(ctx context.Context, others []string) (sure bool, err error) {
	if len(others) == 0 {
		return true, nil
	}
	name, value := rand.Text(), rand.Text()
	if err := w.store.PutToken(ctx, name, value); err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(ctx, tokenAnswerTime)
	defer cancel()
	answers := make(chan *tokenAnswer, len(others))
	for _, id := range others {
		go func() { answers <- w.askToken(ctx, id, name) }()
	}
	var without *tokenAnswer // of a member whose store does not have the token
	found := false
	for range others {
		switch a := <-answers; {
		case a == nil || a.Error != "": // it tells nothing
		case a.Value == value:
			found = true
		default:
			without = a
		}
	}
	switch {
	case found && without != nil:
		w.cfg.Log.Error("another member uses another store than this worker and the rest", "member", without.Worker)
	case without != nil:
		return false, fmt.Errorf("%w: worker %q does not find in its Redis what this one wrote to its own: give all workers of app %s the same --redis",
			errAnotherStore, without.Worker, w.cfg.App)
	case !found:
		w.cfg.Log.Warn("no other member could tell whether it uses the same store", "members", len(others))
	}
	return found, nil
}

// askToken asks one member. It returns nil if there is no answer.
func (w *Worker) askToken(ctx context.Context, id, name string) *tokenAnswer {
	b, err := json.Marshal(tokenQuestion{Token: name})
	if err != nil {
		panic(err) // a string
	}
	m, err := w.nc.RequestWithContext(ctx, w.tokenSubject(id), b)
	if err != nil {
		return nil
	}
	a := new(tokenAnswer)
	if json.Unmarshal(m.Data, a) != nil {
		return nil
	}
	return a
}

// admit lets this worker into the group if it shares the store with its members.
func (w *Worker) admit(ctx context.Context, others []string) error {
	sure, err := w.sharesStore(ctx, others)
	if err == nil && sure {
		err = w.markStore(ctx)
	}
	return err
}

// markStore leaves a mark that this worker finds again as long as it uses the same store, and the store has lost nothing.
func (w *Worker) markStore(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	return w.store.PutToken(ctx, w.group.ID(), w.mark)
}

// sameStore looks whether the store is still the one that the other members use. If it is not, the worker ends, with an error:
// it must not keep shards from them. A worker that finds its own mark is on the right store, even if another member disagrees.
// Where no member can tell, the worker makes no mark, is not sure, and has to ask again.
func (w *Worker) sameStore(ctx context.Context) (sure bool, err error) {
	looking, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	mark, err := w.store.Token(looking, w.group.ID())
	if sure = mark == w.mark; err == nil && !sure {
		sure, err = w.sharesStore(ctx, w.group.Others())
	}
	if errors.Is(err, errAnotherStore) {
		w.failed <- err
		return false, err
	}
	if err == nil && sure {
		err = w.markStore(ctx)
	}
	return err == nil && sure, nil // a store that cannot be reached is looked at again
}

// Failed tells why the worker cannot go on, if so.
func (w *Worker) Failed() <-chan error { return w.failed }
