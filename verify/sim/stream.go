package sim

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// stream is one of JetStream's.
type stream struct {
	b          *Broker
	name       string
	config     []byte // as the client gave it
	told       []byte // the part of it that answers contain
	subjects   []pattern
	perSubject int // messages kept of a subject; 0: all
	created    time.Time
	messages   []*stored // by sequence; nil: removed
	first      uint64    // the sequence of messages[0]
	last       uint64
	newest     map[string]uint64 // by subject
	consumers  []*consumer
}

// stored is a message of a stream.
type stored struct {
	subject      string
	header, data []byte
	seq          uint64
	at           time.Time
}

// apiError is a refusal of JetStream.
type apiError struct {
	code, detail int
	text         string
}

var (
	errNoStream  = apiError{404, 10059, "stream not found"}
	errNoMessage = apiError{404, 10037, "no message found"}
	errNameTaken = apiError{400, 10058, "stream name already in use with a different configuration"}
)

func (e apiError) String() string {
	return fmt.Sprintf(`"error":{"code":%d,"err_code":%d,"description":%q}`, e.code, e.detail, e.text)
}

// instant is a time as JetStream writes it.
func instant(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

func (s *stream) takes(subject string) bool {
	return slices.ContainsFunc(s.subjects, func(p pattern) bool { return p.matches(subject) })
}

func (s *stream) at(seq uint64) *stored {
	if seq < s.first || seq > s.last {
		return nil
	}
	return s.messages[seq-s.first]
}

// firstSeq is that of the first message there is, or of the next one if there is none.
func (s *stream) firstSeq() uint64 {
	for _, m := range s.messages {
		if m != nil {
			return m.seq
		}
	}
	return s.last + 1
}

func (s *stream) count() (n int) {
	for _, m := range s.messages {
		if m != nil {
			n++
		}
	}
	return n
}

// headerOf is the value of a header.
func headerOf(header []byte, name string) string {
	_, after, ok := bytes.Cut(header, []byte("\r\n"+name+": "))
	if !ok {
		return ""
	}
	value, _, _ := bytes.Cut(after, []byte("\r\n"))
	return string(value)
}

// store keeps a message and confirms it.
func (b *Broker) store(c *conn, s *stream, o op) {
	confirm := func(answer []byte) {
		wait := time.Duration(0)
		if b.Slow != nil {
			wait = b.Slow()
		}
		if o.reply == "" {
			return
		}
		b.w.After(wait, func() { b.deliver(o.reply, o.reply, "", nil, answer) })
	}
	if want := headerOf(o.header, "Nats-Expected-Last-Subject-Sequence"); want != "" && want != strconv.FormatUint(s.newest[o.subject], 10) {
		confirm(fmt.Appendf(nil, `{"stream":%q,"seq":0,%s}`, s.name, apiError{400, 10071, fmt.Sprintf("wrong last sequence: %d", s.newest[o.subject])}))
		return
	}
	s.last++
	m := &stored{subject: o.subject, header: o.header, data: o.data, seq: s.last, at: time.Now()}
	if b.Stray != nil && b.Stray(c.p, o.subject) {
		b.w.Say("it follows the end")
		m.subject = "after.the.end"
	}
	s.messages = append(s.messages, m)
	if m.subject == o.subject {
		if before := s.at(s.newest[o.subject]); before != nil && s.perSubject == 1 {
			s.messages[before.seq-s.first] = nil
		}
		s.newest[o.subject] = s.last
		if b.Stored != nil {
			b.Stored(c.p, o.sent, o.subject, o.header)
		}
		b.pump()
	}
	confirm(fmt.Appendf(nil, `{"stream":%q,"seq":%d}`, s.name, s.last))
}

func (b *Broker) stream(name string) *stream {
	for _, s := range b.streams {
		if s.name == name {
			return s
		}
	}
	return nil
}

// verbOf returns the part of a request's subject that is the same in every run.
func verbOf(api string) string {
	f := strings.SplitN(api, ".", 4)
	return strings.Join(f[:min(len(f), 3)], " ")
}

// request answers a request to JetStream.
func (b *Broker) request(c *conn, api string, o op) {
	f := strings.Split(api, ".")
	answer := func(format string, args ...any) {
		b.deliver(o.reply, o.reply, "", nil, fmt.Appendf(nil, format, args...))
	}
	if api == "INFO" {
		answer(`{"type":"io.nats.jetstream.api.v1.account_info_response"}`)
		return
	}
	if api == "STREAM.LIST" {
		b.list(o.data, answer)
		return
	}
	if api == "STREAM.CREATE."+f[len(f)-1] {
		b.create(f[2], o.data, answer)
		return
	}
	if api == "STREAM.NAMES" {
		answer("%s", b.names(o.data))
		return
	}
	name := f[2]
	if f[1] == "MSG" {
		name = f[3]
	}
	s := b.stream(name)
	switch verb := f[0] + "." + f[1]; {
	case s == nil && verb != "DIRECT.GET":
		answer("{%s}", errNoStream)
	case s == nil:
		b.deliverTo(c, o.reply, []byte("NATS/1.0 503\r\n\r\n"))
	case verb == "STREAM.INFO":
		answer("%s", s.info("stream_info_response"))
	case verb == "DIRECT.GET":
		b.direct(s, f[3:], o)
	case verb == "STREAM.MSG":
		m := s.get(o.data)
		if m == nil {
			answer("{%s}", errNoMessage)
			return
		}
		answer(`{"message":{"subject":%q,"seq":%d,"time":%q,"data":%q,"hdrs":%q}}`, m.subject, m.seq, instant(m.at),
			base64.StdEncoding.EncodeToString(m.data), base64.StdEncoding.EncodeToString(m.header))
	case verb == "CONSUMER.CREATE":
		b.consume(c.p, s, f[3], o.data, answer)
	case verb == "CONSUMER.DELETE":
		s.consumers = slices.DeleteFunc(s.consumers, func(c *consumer) bool { return c.name == f[3] })
		answer(`{"type":"io.nats.jetstream.api.v1.consumer_delete_response","success":true}`)
	case verb == "CONSUMER.MSG":
		s.pull(f[4], o)
	default:
		panic("sim: " + api + " is not simulated")
	}
}

// get returns the message that a request names.
func (s *stream) get(request []byte) *stored {
	var ask struct {
		Seq  uint64
		Next string `json:"next_by_subj"`
		Last string `json:"last_by_subj"`
	}
	unmarshal(request, &ask)
	if ask.Last != "" {
		return s.at(s.newest[ask.Last])
	}
	if ask.Next == "" {
		return s.at(ask.Seq)
	}
	wanted := newPattern(ask.Next)
	for seq := max(ask.Seq, s.first); seq <= s.last; seq++ {
		if m := s.at(seq); m != nil && wanted.matches(m.subject) {
			return m
		}
	}
	return nil
}

func unmarshal(b []byte, v any) {
	if len(b) == 0 {
		return
	}
	if err := json.Unmarshal(b, v); err != nil {
		panic(err)
	}
}

// streamConfig is the part of a stream's configuration that answers contain. Our clients read no more of it, and more would
// only take time to parse.
type streamConfig struct {
	Name       string            `json:"name"`
	Subjects   []string          `json:"subjects"`
	Discard    string            `json:"discard"`
	PerSubject int               `json:"max_msgs_per_subject,omitempty"`
	MaxBytes   int               `json:"max_bytes"`
	Replicas   int               `json:"num_replicas"`
	Direct     bool              `json:"allow_direct"`
	Metadata   map[string]string `json:"metadata,omitempty"`
}

// names lists the streams with a subject that the filter covers, or all.
func (b *Broker) names(request []byte) []byte {
	var asked struct {
		Subject string `json:"subject"`
	}
	unmarshal(request, &asked)
	filter, names := newPattern(asked.Subject), []string{}
	for _, s := range b.streams {
		if asked.Subject == "" || slices.ContainsFunc(s.subjects, func(p pattern) bool { return filter.matches(p.text) }) {
			names = append(names, s.name)
		}
	}
	answer, err := json.Marshal(map[string]any{
		"type": "io.nats.jetstream.api.v1.stream_names_response", "total": len(names), "offset": 0, "limit": 1024, "streams": names,
	})
	if err != nil {
		panic(err)
	}
	return answer
}

func (b *Broker) create(name string, config []byte, answer func(string, ...any)) {
	if s := b.stream(name); s != nil {
		if !bytes.Equal(s.config, config) {
			answer("{%s}", errNameTaken)
			return
		}
		answer("%s", s.info("stream_create_response"))
		return
	}
	var cfg streamConfig
	unmarshal(config, &cfg)
	told, err := json.Marshal(cfg)
	if err != nil {
		panic(err)
	}
	s := &stream{b: b, name: name, config: config, told: told, perSubject: cfg.PerSubject, created: time.Now(), first: 1, newest: make(map[string]uint64)}
	for _, subject := range cfg.Subjects {
		s.subjects = append(s.subjects, newPattern(subject))
	}
	b.streams = append(b.streams, s)
	answer("%s", s.info("stream_create_response"))
}

// list describes the streams that have a subject with the given beginning.
func (b *Broker) list(request []byte, answer func(string, ...any)) {
	var ask struct {
		Subject string `json:"subject"`
	}
	unmarshal(request, &ask)
	var found []string
	for _, s := range b.streams {
		if slices.ContainsFunc(s.subjects, func(p pattern) bool { return strings.HasPrefix(p.text, strings.TrimSuffix(ask.Subject, ">")) }) {
			found = append(found, s.info("stream_info_response"))
		}
	}
	answer(`{"type":"io.nats.jetstream.api.v1.stream_list_response","total":%d,"offset":0,"limit":256,"streams":[%s]}`, len(found), strings.Join(found, ","))
}

func (s *stream) info(kind string) string {
	return fmt.Sprintf(`{"type":"io.nats.jetstream.api.v1.%s","config":%s,"created":%q,`+
		`"state":{"messages":%d,"first_seq":%d,"last_seq":%d,"consumer_count":%d},"cluster":{"leader":"sim"}}`,
		kind, s.told, instant(s.created), s.count(), s.firstSeq(), s.last, len(s.consumers))
}

// direct answers with the newest message of a subject, or the one of a sequence.
func (b *Broker) direct(s *stream, subject []string, o op) {
	var ask struct{ Seq uint64 }
	if len(subject) > 0 {
		ask.Seq = s.newest[strings.Join(subject, ".")]
	} else {
		unmarshal(o.data, &ask)
	}
	m := s.at(ask.Seq)
	if m == nil {
		b.deliver(o.reply, o.reply, "", []byte("NATS/1.0 404 Message Not Found\r\n\r\n"), nil)
		return
	}
	header := m.header
	if len(header) == 0 {
		header = []byte("NATS/1.0\r\n\r\n")
	}
	header = fmt.Appendf(header[:len(header)-2:len(header)-2], "Nats-Stream: %s\r\nNats-Subject: %s\r\nNats-Sequence: %d\r\nNats-Time-Stamp: %s\r\n\r\n",
		s.name, m.subject, m.seq, instant(m.at))
	b.deliver(o.reply, o.reply, "", header, m.data)
}
