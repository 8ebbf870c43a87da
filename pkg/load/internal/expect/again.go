package expect

import "iter"

// made is an event of a key, made again.
type made struct {
	link
	counter uint32
	outcome Outcome
	deletes bool
	fails   bool
}

// again makes those events of a key again that follow number after. Each holds until the next one is made.
func (b *Book) again(key int, exceptions []exception, after uint32) iter.Seq[made] {
	return func(yield func(made) bool) {
		l := b.events.newLink()
		for counter := after + 1; counter <= b.sent[key]; counter++ {
			l = b.events.write(l, key, counter)
			for len(exceptions) > 0 && exceptions[0].counter < counter {
				exceptions = exceptions[1:]
			}
			outcome := Stored
			if len(exceptions) > 0 && exceptions[0].counter == counter {
				outcome = exceptions[0].outcome
			}
			if !yield(made{l, counter, outcome, b.events.made.Deletes, b.events.made.Fails}) {
				return
			}
		}
	}
}

// notRepeated is what is wrong with a key of which repeats is false.
const notRepeated = "generate returned other events when asked again, but must decide from its Draw alone"

// repeats tells whether the events of a key come out as they were sent.
func (b *Book) repeats(key int) bool {
	chain, deleted := uint64(0), uint32(0)
	for ev := range b.again(key, nil, 0) {
		if chain = ev.after(chain); ev.deletes {
			chain, deleted = 0, ev.counter
		}
	}
	return chain == b.chain[key] && deleted == b.lastDeleted(key)
}
