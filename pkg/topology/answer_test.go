package topology

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMayAnswer(t *testing.T) {
	for reply, want := range map[string]bool{
		"":                              false,
		"$JS.API.STREAM.DELETE.APP_1_0": false,
		"$KV.app_topology.topology":     false,
		"$SYS.REQ.SERVER.PING":          false,
		"$":                             false,
		"app":                           false,
		"app.in.frame":                  false,
		"app.work.1.0.2":                false,
		"app.ctl.query":                 false,
		"app.anything":                  false,
		"other.in.frame":                false,
		"other.in.frame.0011":           false,
		"other.in.event.key":            false,
		"other.work.1.0.2":              false,
		"other.ctl.presence.x":          false,
		"_INBOX.abc.def":                true,
		"_R_.abc":                       true,
		"app2":                          true,
		"app-2.inbox.x":                 true,
		"mine.inbox.work.1":             true,
		"MY_INBOX.in.x":                 true,
		"reply":                         true,
	} {
		require.Equal(t, want, MayAnswer("app", reply), "%q", reply)
	}
}
