// Package drive sends events at a rate or as fast as they are acknowledged, and
// then verifies every key it used.
//
// The load is an open loop: when an event is due does not depend on how the
// system fares, and latency counts from that intended time. Nothing is kept per
// event; what the store must hold is kept per key (package expect).
package drive

import (
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"strings"
	"time"

	"example.com/lockstep/pkg/load/internal/expect"
	"example.com/lockstep/pkg/load/internal/pace"
	"example.com/lockstep/pkg/load/internal/pick"
	"example.com/lockstep/pkg/publish"
)

// Above this rate only a share of events asks for a receipt, unless told otherwise.
const (
	allReceiptsRate = 50_000 // events per second
	defaultShare    = pace.Share(1.0 / 16)
)

// DefaultInFlight is how many events a load has sent and not seen acknowledged,
// at most: the publisher's own default.
const DefaultInFlight = publish.DefaultMaxEvents

// MaxInFlight is the most events that a load may have sent and not seen acknowledged.
const MaxInFlight = 1_000_000

// Config is one load. All fields are needed but where they say otherwise.
type Config struct {
	App             string
	Run             string        // part of every key, see NewRunID
	Schedule        pace.Schedule // max: a closed loop, as fast as acknowledged
	InFlight        int           // events sent and not acknowledged, at most
	WarmUp          time.Duration // before all else, at the schedule's first rate; 0: none
	Duration        time.Duration // of sending after it; 0: no limit, if Events is one
	Events          uint64        // how many to send after it; 0: no limit, if Duration is one
	Keys            int           // 0: as many as a recorded distribution has
	Distribution    pick.Distribution
	Payload         expect.Payload
	Poison          float64 // share of the keys of which an event is to fail, from 0 to 1
	Seed            uint64
	Receipts        pace.Share
	DeliveryTimeout time.Duration // after which the publisher gives an event up
	DrainTimeout    time.Duration // for every shard's position to reach the log's end
	WaitParked      time.Duration // for parked keys to be worked off by an operator; 0: not at all
	Backlog         bool          // workers take nothing until all is sent
	Part, Parts     int           // of several producers that share the events, this one, from 0
}

// Validate returns an error that says which value is out of range.
func (c Config) Validate() error {
	ofFile := c.Keys == 0 && c.Distribution.Recorded()
	switch {
	case !ofFile && (c.Keys < 1 || c.Keys > expect.MaxKeys):
		return fmt.Errorf("keys must be from 1 to %d, not %d", expect.MaxKeys, c.Keys)
	case c.Duration < 0 || c.Duration == 0 && c.Events == 0:
		return errors.New("duration must be more than 0, or a number of events given")
	case !(c.Poison >= 0 && c.Poison <= 1):
		return fmt.Errorf("poison must be a share of the keys from 0 to 1, as in 0.01, not %v", c.Poison)
	case c.WarmUp < 0:
		return errors.New("warm-up must be at least 0")
	case c.WarmUp+c.Duration > maxElapsed:
		return errors.New("warm-up and duration must be at most 100h together")
	case c.InFlight < 1 || c.InFlight > MaxInFlight:
		return fmt.Errorf("in flight must be from 1 to %d events, not %d", MaxInFlight, c.InFlight)
	case c.Parts < 1 || c.Part < 0 || c.Part >= c.Parts:
		return fmt.Errorf("part must be from 0 to %d, not %d", c.Parts-1, c.Part)
	case c.Events > 0 && c.Events < uint64(c.Parts):
		return fmt.Errorf("%d events are not enough for %d producers", c.Events, c.Parts)
	case c.DeliveryTimeout < time.Second:
		return errors.New("delivery timeout must be at least 1s")
	case c.WaitParked < 0:
		return errors.New("wait for parked keys must be at least 0")
	case c.DrainTimeout <= 0:
		return errors.New("drain timeout must be more than 0")
	}
	if !c.Schedule.Max() {
		if _, err := c.pacer(); err != nil {
			return err
		}
	}
	if err := c.Payload.Check(); err != nil {
		return err
	}
	if ofFile {
		return nil // the file is read when the load is prepared
	}
	return c.Distribution.Check(c.Keys)
}

// pacer returns this producer's part of the schedule, which is not max.
func (c Config) pacer() (part, error) {
	p, err := c.Schedule.Over(c.Duration, c.WarmUp)
	return part{pacer: p, part: uint64(c.Part), of: uint64(c.Parts)}, err
}

// share returns this producer's part of a number of events. 0 stays 0.
func (c Config) share(events uint64) uint64 { return shareOf(events, uint64(c.Part), uint64(c.Parts)) }

// AutoShare is the share of events that ask for a receipt by default: all, up to
// 50,000 a second at the schedule's peak (infinite for max).
func AutoShare(peak float64) pace.Share {
	if peak > allReceiptsRate {
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
