package consume

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"example.com/lockstep/pkg/query"
)

// Ready returns an error while the worker is not in the group, or a shard is on its way to it, or from it. A shard that is
// stuck makes no worker unready: the others would be stuck there too, and its neighbours here would suffer. Stuck names it.
func (w *Worker) Ready() error {
	if why := w.follows.why(); why != "" {
		return errors.New("owns no shards: " + why)
	}
	if !w.joined.Load() || !w.group.Joined() {
		return errors.New("not in the group")
	}
	stuck := w.statuses.stuck()
	for shard, begun := range w.group.Unsettled() {
		if time.Since(begun) < w.waits.handover && stuck[shard] == "" {
			return errors.New("shards are being handed over")
		}
	}
	return w.statuses.onTheirWay()
}

// maxStuck is how many shards Stuck names.
const maxStuck = 16

// Stuck tells which shards cannot go on, and why; "" if none.
func (w *Worker) Stuck() string {
	why := w.statuses.stuck()
	if w.joined.Load() {
		for shard, begun := range w.group.Unsettled() {
			if took := time.Since(begun); took >= w.waits.handover && why[shard] == "" {
				why[shard] = fmt.Sprintf("not handed over for %s", took.Round(time.Second))
			}
		}
	}
	var out []string
	for _, shard := range slices.Sorted(maps.Keys(why)) {
		if len(out) == maxStuck {
			out = append(out, fmt.Sprintf("and %d more", len(why)-maxStuck))
			break
		}
		out = append(out, fmt.Sprintf("shard %d: %s", shard, why[shard]))
	}
	return strings.Join(out, "; ")
}

// Paused tells that no shard of this worker takes new events, for how long, and by whose request; "" while they do. A paused
// worker is ready: it keeps its shards and answers queries.
func (w *Worker) Paused() string {
	left, by := w.pauses.left()
	if left == 0 {
		return ""
	}
	return fmt.Sprintf("all shards of this worker are paused for %s more by request of %s", left.Round(time.Millisecond), by)
}

func (w *Worker) status() query.Worker {
	left, by := w.pauses.left()
	out := query.Worker{Name: w.cfg.Name, PausedMS: query.Milliseconds(left), PausedBy: by, Away: w.follows.why(), Shards: w.statuses.all()}
	if w.group != nil {
		out.ID = w.group.ID()
	}
	return out
}
