package topology

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
)

// IsLog tells whether a stream has the name of a lane of the app's log, in any epoch.
func IsLog(app, stream string) bool {
	rest, ok := strings.CutPrefix(stream, strings.ToUpper(app)+"_")
	return ok && laneOfEpoch.MatchString(rest)
}

var laneOfEpoch = regexp.MustCompile(`^[1-9][0-9]*_(0|[1-9][0-9]*)$`)

// ForeignStream is a stream that stores messages on the app's subjects and is not its log. It acknowledges them as the log does,
// so that clients take an event for stored that no router has seen.
type ForeignStream struct {
	Stream string
	Takes  string // the app's subject: <app>.in.> or <app>.work.>
}

func (f ForeignStream) String() string {
	return fmt.Sprintf("stream %s stores and acknowledges %s, though it is not the log: give it other subjects, or let it mirror the log",
		f.Stream, f.Takes)
}

// ForeignStreams lists the foreign streams.
func ForeignStreams(ctx context.Context, js jetstream.JetStream, app string) (found []ForeignStream, err error) {
	for _, subject := range []string{app + ".in.>", app + ".work.>"} {
		names := js.StreamNames(ctx, jetstream.WithStreamListSubject(subject))
		for name := range names.Name() {
			if !IsLog(app, name) {
				found = append(found, ForeignStream{name, subject})
			}
		}
		if err := names.Err(); err != nil {
			return nil, fmt.Errorf("list streams that take %s: %w", subject, err)
		}
	}
	return found, nil
}
