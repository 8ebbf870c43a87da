package route

import (
	"log/slog"
	"time"

	"example.com/lockstep/pkg/topology"
)

// stalls logs lanes that have a leader and store nothing. It is not safe for concurrent use.
type stalls struct {
	log   *slog.Logger
	began map[string]time.Time // by lane: when its leader first answered though it owed confirmations
	told  map[string]bool      // by lane
}

// answered notes that the leader of a silent lane has answered a question. heard is the time of the lane's last confirmation.
func (s *stalls) answered(lane string, heard, now time.Time) {
	began, silent := s.began[lane]
	switch {
	case !silent || heard.After(began):
		s.began[lane] = now
	case now.Sub(began) >= storeTimeout && !s.told[lane]:
		s.told[lane] = true
		s.log.Warn("the log stores nothing", "subjects", lane+"*", "for", now.Sub(began).Round(time.Second), "error", topology.ErrStoresNothing)
	}
}

// over notes the lanes that have confirmed a message meanwhile.
func (s *stalls) over(heardAt func(lane string) time.Time) {
	for lane, began := range s.began {
		if !heardAt(lane).After(began) {
			continue
		}
		if s.told[lane] {
			s.log.Info("the log stores again", "subjects", lane+"*")
		}
		delete(s.began, lane)
		delete(s.told, lane)
	}
}
