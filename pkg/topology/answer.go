package topology

import "strings"

// MayAnswer tells whether a service of ours may answer on a reply subject. The subject comes from outside, and NATS checks only
// whether its sender may publish the request, while the service that answers acts with its own rights. So a service answers
// nothing under `$` (JetStream's API, KV buckets), under the app's own subjects, or where another app listens: two routers that
// answer one another would not stop.
func MayAnswer(app, reply string) bool {
	if reply == "" || reply[0] == '$' {
		return false
	}
	first, rest, _ := strings.Cut(reply, ".")
	if first == app {
		return false
	}
	for _, prefix := range [...]string{"in.frame", "in.event.", "in.command", "work.", "ctl."} {
		if strings.HasPrefix(rest, prefix) {
			return false
		}
	}
	return true
}
