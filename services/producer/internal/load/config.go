// Package load sends events at a rate or as fast as they are acknowledged, and
// then verifies every key it used.
//
// The load is an open loop: when an event is due does not depend on how the
// system fares, and latency counts from that intended time. Nothing is kept per
// event; what the ledger must hold is kept per key (package expect).
package load

import (
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"strings"
	"time"

	"example.com/lockstep/services/producer/internal/expect"
	"example.com/lockstep/services/producer/internal/pace"
	"example.com/lockstep/services/producer/internal/pick"
	"example.com/lockstep/services/producer/internal/report"
)

// Above this rate only a share of events asks for a receipt, unless told otherwise.
const (
	allReceiptsRate = 50_000 // events per second
	defaultShare    = pace.Share(1.0 / 16)
)

// Config is one load. All fields are needed.
type Config struct {
	App             string
	Run             string        // part of every key, see NewRunID
	Rate            pace.Rate     // pace.Max: as fast as acknowledged
	Duration        time.Duration // of sending
	Keys            int
	Distribution    pick.Distribution // of events over keys
	Size            int               // of a payload, in bytes
	Seed            uint64
	Receipts        pace.Share
	DeliveryTimeout time.Duration // after which the publisher gives an event up
	DrainTimeout    time.Duration // for every shard's position to reach the log's end
}

// Validate returns an error that says which value is out of range.
func (c Config) Validate() error {
	switch {
	case c.Keys < 1 || c.Keys > expect.MaxKeys:
		return fmt.Errorf("keys must be from 1 to %d, not %d", expect.MaxKeys, c.Keys)
	case c.Size < expect.MinSize || c.Size > expect.MaxSize:
		return fmt.Errorf("size must be from %d to %d bytes, not %d", expect.MinSize, expect.MaxSize, c.Size)
	case c.Duration <= 0:
		return errors.New("duration must be more than 0")
	case c.Duration > maxElapsed:
		return errors.New("duration must be at most 100h")
	case c.DeliveryTimeout < time.Second:
		return errors.New("delivery timeout must be at least 1s")
	case c.DrainTimeout <= 0:
		return errors.New("drain timeout must be more than 0")
	}
	return c.Distribution.Check(c.Keys)
}

// AutoShare is the share of events that ask for a receipt by default.
func AutoShare(r pace.Rate) pace.Share {
	if r == pace.Max || r > allReceiptsRate {
		return defaultShare
	}
	return 1
}

// NewRunID draws the id that sets the keys of a run apart from all others.
func NewRunID() string {
	var b [5]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return strings.ToLower(base32.StdEncoding.EncodeToString(b[:]))
}

func (c Config) report(shards int) report.Config {
	return report.Config{
		App:          c.App,
		Run:          c.Run,
		Rate:         c.Rate.String(),
		Duration:     c.Duration.String(),
		Keys:         c.Keys,
		Distribution: c.Distribution.String(),
		Size:         c.Size,
		Seed:         c.Seed,
		Receipts:     float64(c.Receipts),
		Shards:       shards,
	}
}
