package consume

import (
	"context"
	"sync/atomic"
	"time"
)

// call is an attempt that runs on a goroutine of its own. It has a place, until it ends or is given up.
type call struct {
	attempt
	began  time.Time
	list   any // what it is made for, if that is a list; nil: a round's item
	result result

	over   atomic.Bool // it has ended, or was given up: the first of both counts
	cancel context.CancelCauseFunc
	timers [2]*time.Timer // for the end of its context, for giving it up
}
