package query

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
)

// Bounds on the requests that wait for an answer, for each endpoint. Requests beyond them get no answer.
const (
	maxWaiting      = 1024
	maxWaitingBytes = 8 << 20
)

// service is a NATS micro service: `nats micro ls` shows it. nats.go has one too, which answers on any reply subject; this
// one answers only where topology.MayAnswer allows it, on $SRV subjects also.
type service struct {
	nc        *nats.Conn
	app       string
	info      micro.Info
	started   time.Time
	endpoints []*endpoint
	subs      []*nats.Subscription
}

// endpoint is one subject on which a service answers requests of the application.
type endpoint struct {
	answer micro.HandlerFunc
	mu     sync.Mutex // guards stats
	stats  micro.EndpointStats
}

func newService(nc *nats.Conn, app string) *service {
	return &service{nc: nc, app: app, started: time.Now().UTC(), info: micro.Info{
		ServiceIdentity: micro.ServiceIdentity{Name: app + "-worker", ID: rand.Text(), Version: "1.0.0", Metadata: map[string]string{}},
		Type:            micro.InfoResponseType,
		Description:     "worker of app " + app,
	}}
}

// add makes an endpoint on <app>.ctl.<name>. In a queue group one of its members takes a request, without one all do.
func (s *service) add(name, queue string, answer micro.HandlerFunc) {
	subject := topology.ControlSubject(s.app, name)
	s.info.Endpoints = append(s.info.Endpoints, micro.EndpointInfo{Name: name, Subject: subject, QueueGroup: queue})
	s.endpoints = append(s.endpoints, &endpoint{answer: answer, stats: micro.EndpointStats{Name: name, Subject: subject, QueueGroup: queue}})
}

// start listens, once all endpoints are added.
func (s *service) start() error {
	for _, e := range s.endpoints {
		if err := s.listen(e.stats.Subject, e.stats.QueueGroup, e.take); err != nil {
			return err
		}
	}
	for verb, say := range map[micro.Verb]func() any{
		micro.PingVerb:  func() any { return micro.Ping{ServiceIdentity: s.info.ServiceIdentity, Type: micro.PingResponseType} },
		micro.InfoVerb:  func() any { return s.info },
		micro.StatsVerb: func() any { return s.statistics() },
	} {
		for _, who := range [][2]string{{"", ""}, {s.info.Name, ""}, {s.info.Name, s.info.ID}} {
			subject, err := micro.ControlSubject(verb, who[0], who[1])
			if err != nil {
				return err
			}
			if err := s.listen(subject, "", func(c *call) { _ = c.RespondJSON(say()) }); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *service) listen(subject, queue string, fn func(*call)) error {
	sub, err := s.nc.QueueSubscribe(subject, queue, func(m *nats.Msg) {
		if m.Reply == "" || topology.MayAnswer(s.app, m.Reply) {
			fn(&call{msg: m})
		}
	})
	if err != nil {
		return fmt.Errorf("listen on %s: %w", subject, err)
	}
	s.subs = append(s.subs, sub)
	return sub.SetPendingLimits(maxWaiting, maxWaitingBytes)
}

// stop takes no more requests. Those that have come are still answered.
func (s *service) stop() (err error) {
	for _, sub := range s.subs {
		if derr := sub.Drain(); derr != nil && err == nil {
			err = derr
		}
	}
	return err
}

func (s *service) statistics() micro.Stats {
	out := micro.Stats{ServiceIdentity: s.info.ServiceIdentity, Type: micro.StatsResponseType, Started: s.started}
	for _, e := range s.endpoints {
		e.mu.Lock()
		stats := e.stats
		e.mu.Unlock()
		out.Endpoints = append(out.Endpoints, &stats)
	}
	return out
}

func (e *endpoint) take(c *call) {
	began := time.Now()
	e.answer(c)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stats.NumRequests++
	e.stats.ProcessingTime += time.Since(began)
	e.stats.AverageProcessingTime = e.stats.ProcessingTime / time.Duration(e.stats.NumRequests)
	if c.failed != "" {
		e.stats.NumErrors++
		e.stats.LastError = c.failed
	}
}

// call is one request.
type call struct {
	msg    *nats.Msg
	failed string // code and text of the error that it was answered with
}

func (c *call) Data() []byte           { return c.msg.Data }
func (c *call) Headers() micro.Headers { return micro.Headers(c.msg.Header) }
func (c *call) Subject() string        { return c.msg.Subject }
func (c *call) Reply() string          { return c.msg.Reply }

// Respond answers. It fails only without a connection, or if the request has no reply subject.
func (c *call) Respond(data []byte, opts ...micro.RespondOpt) error {
	return c.respond(&nats.Msg{Data: data}, opts)
}

// RespondJSON answers with v as JSON.
func (c *call) RespondJSON(v any, opts ...micro.RespondOpt) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	return c.Respond(data, opts...)
}

// Error answers with an error, as micro services do.
func (c *call) Error(code, description string, data []byte, opts ...micro.RespondOpt) error {
	c.failed = code + ":" + description
	return c.respond(&nats.Msg{Data: data, Header: nats.Header{micro.ErrorCodeHeader: {code}, micro.ErrorHeader: {description}}}, opts)
}

func (c *call) respond(m *nats.Msg, opts []micro.RespondOpt) error {
	for _, opt := range opts {
		opt(m)
	}
	return c.msg.RespondMsg(m)
}
