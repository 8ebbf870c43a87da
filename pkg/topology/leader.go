package topology

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// get is a question for one message of a stream: the first of a subject from a sequence on, or the last of a subject.
type get struct {
	Seq  uint64 `json:"seq,omitempty"`
	Next string `json:"next_by_subj,omitempty"`
	Last string `json:"last_by_subj,omitempty"`
}

// ask asks the leader of a stream for a message. (The client library asks any server that has the stream, if the stream
// allows it, as buckets do: one that lags knows nothing of what was stored last.) Its error wraps jetstream.ErrMsgNotFound,
// jetstream.ErrStreamNotFound or what came instead of an answer.
func (q get) ask(ctx context.Context, nc *nats.Conn, stream string) (*jetstream.RawStreamMsg, error) {
	request, err := json.Marshal(q)
	if err != nil {
		return nil, err
	}
	m, err := nc.RequestWithContext(ctx, jetstream.DefaultAPIPrefix+"STREAM.MSG.GET."+stream, request)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Error   *jetstream.APIError `json:"error"`
		Message *struct {
			Subject string    `json:"subject"`
			Seq     uint64    `json:"seq"`
			Header  []byte    `json:"hdrs"`
			Data    []byte    `json:"data"`
			Time    time.Time `json:"time"`
		} `json:"message"`
	}
	if err := json.Unmarshal(m.Data, &answer); err != nil {
		return nil, fmt.Errorf("answer of stream %s: %w", stream, err)
	}
	switch e := answer.Error; {
	case e != nil && e.ErrorCode == jetstream.JSErrCodeMessageNotFound:
		return nil, jetstream.ErrMsgNotFound
	case e != nil && e.ErrorCode == jetstream.JSErrCodeStreamNotFound:
		return nil, jetstream.ErrStreamNotFound
	case e != nil:
		return nil, e
	case answer.Message == nil:
		return nil, errors.New("answer without a message")
	}
	raw := &jetstream.RawStreamMsg{Subject: answer.Message.Subject, Sequence: answer.Message.Seq, Data: answer.Message.Data, Time: answer.Message.Time}
	if len(answer.Message.Header) > 0 {
		if raw.Header, err = nats.DecodeHeadersMsg(answer.Message.Header); err != nil {
			return nil, fmt.Errorf("message %d of stream %s: %w", raw.Sequence, stream, err)
		}
	}
	return raw, nil
}

// entryOf makes an entry of a bucket's message.
func entryOf(bucket, key string, m *jetstream.RawStreamMsg) jetstream.KeyValueEntry {
	return bucketEntry{bucket: bucket, key: key, value: m.Data, revision: m.Sequence, created: m.Time, op: operation(m.Header)}
}

// getEntry returns an entry of a bucket as its leader has it. It is jetstream.KeyValue.Get, which any server of a cluster may
// answer. A key that was deleted, or never there, is jetstream.ErrKeyNotFound.
func getEntry(ctx context.Context, nc *nats.Conn, bucket, key string) (jetstream.KeyValueEntry, error) {
	m, err := get{Last: entryPrefix(bucket) + key}.ask(ctx, nc, bucketStream(bucket))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, jetstream.ErrKeyNotFound
	}
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, fmt.Errorf("%w: %w", jetstream.ErrBucketNotFound, err)
	}
	if err != nil {
		return nil, err
	}
	e := entryOf(bucket, key, m)
	if e.Operation() != jetstream.KeyValuePut {
		return nil, jetstream.ErrKeyNotFound
	}
	return e, nil
}
