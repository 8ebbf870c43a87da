package topology

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	metadataID    = "lockstep-topology"
	metadataEntry = "lockstep-topology-entry" // a copy of the topology from when the stream was made
	duplicates    = 2 * time.Minute           // JetStream's own window for plain events with a Nats-Msg-Id
)

func streamConfig(app string, t Topology, e Epoch, lane int) jetstream.StreamConfig {
	t.Ready = true // once the stream is there
	return jetstream.StreamConfig{
		Name:        StreamName(app, e.Epoch, lane),
		Description: "log of app " + app,
		Subjects:    []string{fmt.Sprintf("%s.work.%d.%d.*", app, e.Epoch, lane)},
		Retention:   jetstream.LimitsPolicy,
		Storage:     jetstream.FileStorage,
		Discard:     jetstream.DiscardNew,
		Replicas:    t.Log.Replicas,
		MaxBytes:    t.Log.MaxBytes,
		Duplicates:  duplicates,
		AllowDirect: false, // else a server that lags would answer
		Metadata:    map[string]string{metadataID: t.ID, metadataEntry: string(encode(t))},
	}
}

// mendStreams updates streams of an older release. It turns direct gets off, so that only a stream's leader answers for its
// messages. Streams made on a server too old to keep marks it marks as the topology's, if no stream has a mark and none was
// ever written to. It changes nothing else.
func mendStreams(ctx context.Context, js jetstream.JetStream, app string, t Topology, log *slog.Logger) error {
	var found []*jetstream.StreamInfo
	var want []jetstream.StreamConfig
	unmarked := true
	for _, e := range t.Epochs {
		for lane := range e.Lanes {
			cfg := streamConfig(app, t, e, lane)
			s, err := js.Stream(ctx, cfg.Name)
			if errors.Is(err, jetstream.ErrStreamNotFound) {
				unmarked = false
				continue // CheckStreams says so
			}
			if err != nil {
				return fmt.Errorf("look at stream %s: %w", cfg.Name, err)
			}
			info := s.CachedInfo()
			found, want = append(found, info), append(want, cfg)
			unmarked = unmarked && StreamOwner(info.Config) == "" && untouched(info, t) && info.Config.Description == cfg.Description
		}
	}
	for i, info := range found {
		cfg := info.Config
		if !unmarked && (!cfg.AllowDirect || StreamOwner(cfg) != t.ID) {
			continue
		}
		cfg.AllowDirect = false
		if unmarked {
			cfg.Metadata = want[i].Metadata
		}
		if _, err := js.UpdateStream(ctx, cfg); err != nil {
			return fmt.Errorf("update stream %s: %w", cfg.Name, err)
		}
		log.Info("stream of an older release updated: marked as the topology's, and without direct gets", "stream", cfg.Name)
	}
	return nil
}

// StreamOwner is the id of the topology for which a stream was created.
func StreamOwner(cfg jetstream.StreamConfig) string { return cfg.Metadata[metadataID] }

// CheckStreams returns an error that wraps ErrMismatch and names the setting if a stream of the topology is missing, belongs to
// another topology, or could drop or reorder acknowledged messages.
func CheckStreams(ctx context.Context, js jetstream.JetStream, app string, t Topology) error {
	for _, e := range t.Epochs {
		for lane := range e.Lanes {
			want := streamConfig(app, t, e, lane)
			s, err := js.Stream(ctx, want.Name)
			if errors.Is(err, jetstream.ErrStreamNotFound) {
				return fmt.Errorf("stream %s: %w: it is gone, though topology %s has it: restore it", want.Name, ErrMismatch, t.ID)
			}
			if err != nil {
				return fmt.Errorf("check stream %s: %w", want.Name, err)
			}
			if err := checkStream(s.CachedInfo().Config, want); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkStream(got, want jetstream.StreamConfig) error {
	differs := func(setting string, is, wanted any) error {
		return fmt.Errorf("stream %s: %w: %s is %v, wanted %v", want.Name, ErrMismatch, setting, is, wanted)
	}
	switch {
	case got.Metadata[metadataID] != want.Metadata[metadataID]:
		return differs("topology id", quote(got.Metadata[metadataID]), quote(want.Metadata[metadataID]))
	case len(got.Subjects) != 1 || got.Subjects[0] != want.Subjects[0]:
		return differs("subjects", got.Subjects, want.Subjects)
	case got.Retention != want.Retention:
		return differs("retention", got.Retention, want.Retention)
	case got.Storage != want.Storage:
		return differs("storage", got.Storage, want.Storage)
	case got.Discard != want.Discard:
		return differs("discard policy", got.Discard, want.Discard)
	case got.MaxAge != 0:
		return differs("max age", got.MaxAge, "none: history is the janitor's")
	case got.MaxMsgs > 0:
		return differs("max messages", got.MaxMsgs, "none")
	case got.MaxMsgsPerSubject > 0:
		return differs("max messages per subject", got.MaxMsgsPerSubject, "none")
	case got.MaxMsgSize > 0:
		return differs("max message size", got.MaxMsgSize, "none: batches are as large as the server allows")
	case got.SubjectTransform != nil:
		return differs("subject transform", *got.SubjectTransform, "none")
	case got.NoAck:
		return differs("no-ack", got.NoAck, false)
	case got.PersistMode == jetstream.AsyncPersistMode:
		return differs("persist mode", got.PersistMode, "none: async confirms before it writes")
	}
	return nil
}

func quote(s string) string { return fmt.Sprintf("%q", s) }

// endsAsked is how many ends are asked for at a time: with thousands of shards, one after the other would take longer than
// callers wait.
const endsAsked = 32

// Ends returns the last stream sequence of each shard of an epoch, 0 where a shard has no message.
func Ends(ctx context.Context, js jetstream.JetStream, app string, e Epoch) ([]uint64, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ends := make([]uint64, e.Shards)
	var asking sync.WaitGroup
	for first := range min(endsAsked, e.Shards) {
		asking.Go(func() {
			for shard := first; shard < e.Shards && ctx.Err() == nil; shard += endsAsked {
				var err error
				if ends[shard], err = end(ctx, js, app, e, shard); err != nil {
					cancel(err)
				}
			}
		})
	}
	asking.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	return ends, nil
}

func end(ctx context.Context, js jetstream.JetStream, app string, e Epoch, shard int) (uint64, error) {
	lane := e.Lane(shard)
	m, err := LastMessage(ctx, js, StreamName(app, e.Epoch, lane), WorkSubject(app, e.Epoch, lane, shard))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read end of shard %d on lane %d: %w", shard, lane, err)
	}
	return m.Sequence, nil
}
