package topology

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// askTime is how long the leader of a stream may take to answer if the context has no deadline.
const askTime = 5 * time.Second

// get is a question for one message of a stream: the first of a subject from a sequence on, or the last of a subject.
type get struct {
	Seq  uint64 `json:"seq,omitempty"`
	Next string `json:"next_by_subj,omitempty"`
	Last string `json:"last_by_subj,omitempty"`
}

// ask asks the leader of a stream for a message. (The client library asks any server that has the stream, if the stream allows
// it, as buckets do: one that lags may lack the newest messages.) Its error wraps jetstream.ErrMsgNotFound or
// jetstream.ErrStreamNotFound where there is none.
func (q get) ask(ctx context.Context, nc *nats.Conn, stream string) (*jetstream.RawStreamMsg, error) {
	request, err := json.Marshal(q)
	if err != nil {
		return nil, err
	}
	if _, ends := ctx.Deadline(); !ends {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, askTime)
		defer cancel()
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

// MessageAt returns the message of a stream at a sequence, read from the stream's leader, for a follower may lag. Its error
// wraps jetstream.ErrMsgNotFound if there is none.
func MessageAt(ctx context.Context, js jetstream.JetStream, stream string, seq uint64) (*jetstream.RawStreamMsg, error) {
	return get{Seq: seq}.ask(ctx, js.Conn(), stream)
}

// NextMessage is MessageAt for the first message of a subject from a sequence on. The subject may have wildcards.
func NextMessage(ctx context.Context, js jetstream.JetStream, stream, subject string, from uint64) (*jetstream.RawStreamMsg, error) {
	return get{Seq: from, Next: subject}.ask(ctx, js.Conn(), stream)
}

// LastMessage is MessageAt for the last message of a subject.
func LastMessage(ctx context.Context, js jetstream.JetStream, stream, subject string) (*jetstream.RawStreamMsg, error) {
	return get{Last: subject}.ask(ctx, js.Conn(), stream)
}

// entryOf makes an entry of a bucket's message.
func entryOf(bucket string, m *jetstream.RawStreamMsg) bucketEntry {
	key := strings.TrimPrefix(m.Subject, entryPrefix(bucket))
	return bucketEntry{bucket: bucket, key: key, value: m.Data, revision: m.Sequence, created: m.Time, op: operation(m.Header)}
}

// lastEntry returns the last entry of a key, read from the bucket's leader, also if that deleted the key. For a key that never
// existed it is the zero value, with revision 0: jetstream.KeyValue.Update then creates it.
func lastEntry(ctx context.Context, js jetstream.JetStream, bucket, key string) (bucketEntry, error) {
	m, err := LastMessage(ctx, js, bucketStream(bucket), entryPrefix(bucket)+key)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return bucketEntry{}, nil
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return bucketEntry{}, fmt.Errorf("%w: %w", jetstream.ErrBucketNotFound, err)
	case err != nil:
		return bucketEntry{}, err
	}
	return entryOf(bucket, m), nil
}

// there tells whether the entry holds a value: the key exists and was not deleted.
func (e bucketEntry) there() bool { return e.revision > 0 && e.op == jetstream.KeyValuePut }
