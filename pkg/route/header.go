package route

import (
	"errors"
	"fmt"
	"strings"

	"example.com/lockstep/pkg/frame"
	"github.com/nats-io/nats.go"
)

var errHeaders = errors.New("headers cannot be read: each line must be `Name: value`")

// checkHeaders returns an error if a plain event cannot be stored with its headers as its sender meant them. The router refuses
// a header that asks for something it does not do, rather than ignore it.
func checkHeaders(m *nats.Msg) error {
	if m.Header == nil {
		if m.Size()-len(m.Subject)-len(m.Reply)-len(m.Data) > 0 {
			return errHeaders // the client library delivers such a message without headers
		}
		return nil
	}
	for name, values := range m.Header {
		if err := checkHeader(name, values); err != nil {
			return err
		}
	}
	return nil
}

func checkHeader(name string, values []string) error {
	for i := range len(name) {
		if c := name[i]; c <= ' ' || c >= 0x7f {
			return fmt.Errorf("header name %q contains a space or an invalid byte (a line that begins with a space does not continue the one before)", name)
		}
	}
	for _, exact := range []string{frame.HeaderKey, nats.MsgIdHdr} {
		if !strings.EqualFold(name, exact) {
			continue
		}
		if name != exact {
			return fmt.Errorf("header %q: write it as %q", name, exact)
		}
		if len(values) > 1 {
			return fmt.Errorf("header %s occurs %d times: send it once", name, len(values))
		}
	}
	switch lower := strings.ToLower(name); {
	case name == nats.MsgIdHdr:
		if id := values[0]; id == "" || strings.TrimSpace(id) != id || strings.ContainsAny(id, "\r\n") {
			return fmt.Errorf("header %s is %q: it must not be empty, begin or end with a blank or hold a line break", name, id)
		}
	case name == frame.HeaderKind && (len(values) > 1 || values[0] != frame.KindEvent):
		return fmt.Errorf("header %s is the router's own: give yours another name", name)
	case name == "Status", name == "Description":
		return fmt.Errorf("header %s is NATS's own: give yours another name", name)
	case asksJetStream(lower):
		return fmt.Errorf("header %s asks JetStream for a feature that the log does not offer: send the event without it", name)
	}
	return nil
}

// asksJetStream tells whether a client sets this header, in lower case, to make a stream do something. Servers add the other
// headers that begin with "nats-"; they mean nothing here.
func asksJetStream(name string) bool {
	switch name {
	case "nats-ttl", "nats-rollup", "nats-incr":
		return true
	case "nats-scheduler", "nats-schedule-next": // the server adds them to a message sent by a schedule
		return false
	}
	for _, prefix := range []string{"nats-expected-", "nats-schedule", "nats-batch-"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}
