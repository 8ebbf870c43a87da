package cli

import (
	"fmt"
	"time"

	"example.com/lockstep/pkg/load/internal/drive"
	"example.com/lockstep/pkg/load/internal/expect"
	"example.com/lockstep/pkg/load/internal/pace"
	"example.com/lockstep/pkg/load/internal/pick"
	"example.com/lockstep/pkg/load/internal/report"
	"example.com/lockstep/pkg/load/internal/threshold"
)

// defaultDuration is how long a load sends that no number of events limits.
const defaultDuration = 10 * time.Second

const defaultKeys = 10_000

// firstRate is what a search for the highest rate begins with, unless told.
const firstRate = 1000

// loadFlags say what a load is. All of them may stand in a profile.
type loadFlags struct {
	Rate            pace.Schedule         `default:"max" help:"When events are due, in events per second: max (the default), a closed loop: as fast as --in-flight allows; N; ramp:FROM:TO over the duration; steps:R1,R2,... of equal length; sine:MEAN:AMPLITUDE:PERIOD; spike:BASE:PEAK:AT:FOR." placeholder:"max|N|ramp:..|steps:..|sine:..|spike:.."`
	Duration        *time.Duration        `help:"How long to send, after the warm-up. Default: 10s, or no limit if --events is given." placeholder:"10s"`
	Events          uint64                `help:"How many events to send, after the warm-up. Default: no limit." placeholder:"N"`
	WarmUp          time.Duration         `default:"0s" help:"How long to send before that, at the first rate: verified, but left out of latencies and rates."`
	InFlight        int                   `default:"32768" help:"Events sent and not acknowledged, at most (of each producer): with --rate=max, the size of the closed loop." placeholder:"N"`
	Keys            *int                  `help:"Number of keys. Default: 10000, or those of the distribution's file." placeholder:"10000"`
	Distribution    pick.Distribution     `default:"uniform" help:"How events spread over the keys: uniform (the default); sequential, each key in turn; zipf:S, the key of rank r in proportion to 1/r^S, S from 0.5 to 10 (of 10,000 keys under zipf:1.0, the hottest gets 10% of all events); hot:P:N, the share P of all events for N keys, above 0 and below 1; file:PATH, the keys of a file, a line an event, from the top again at its end." placeholder:"uniform|sequential|zipf:S|hot:P:N|file:PATH"`
	Size            expect.Size           `help:"Bytes of a payload, or a range like 64-1024. Default: 128, or those of the file's lines." placeholder:"N|FROM-TO"`
	Payload         expect.Content        `default:"random" help:"What a payload consists of, after its key's own counter: random (the default), compressible, or file:PATH, the lines of a file." placeholder:"random|compressible|file:PATH"`
	Poison          float64               `default:"0" help:"Share of the keys, as in 0.01, whose second event is one that the handler cannot apply: of the ledger, one that a worker with --overdraft=refuse refuses. The load expects these keys to be parked, or applied." placeholder:"SHARE"`
	Receipts        string                `default:"auto" help:"Which events ask for a receipt of their commit: all, a share like 1/16, or auto: all up to 50,000 events/s, else 1/16." placeholder:"auto|all|SHARE"`
	Seed            uint64                `default:"1" help:"Decides the order of keys and the payloads."`
	Producers       int                   `default:"1" help:"Processes that send: the schedule, the keys and the events are split among them." placeholder:"N"`
	Backlog         bool                  `help:"Pause the workers' intake until all is sent, then measure how fast they drain it."`
	FindMax         time.Duration         `help:"Search the highest rate whose p99 from intended send to commit stays under this, each trial as long as the duration." placeholder:"50ms"`
	Threshold       []threshold.Threshold `sep:"none" help:"What must hold, as in apply.p99<50ms, applied.rate>=20000, failed==0; repeatable. Exit code 99 if one does not." placeholder:"METRIC<BOUND"`
	DeliveryTimeout time.Duration         `default:"30s" help:"When the publisher gives an event up."`
	DrainTimeout    time.Duration         `default:"60s" help:"How long the verification waits for every shard to reach the log's end, and then for events that failed to be tried again."`
	WaitParked      time.Duration         `default:"0s" help:"How long the verification waits for parked keys, until an operator has retried or dropped their events. Default: not at all."`
}

// config returns one producer's part of the load. part counts from 0.
func (f *loadFlags) config(app, run string, part int) (drive.Config, error) {
	share, err := f.share()
	if err != nil {
		return drive.Config{}, err
	}
	keys := f.keys()
	if !f.Distribution.Recorded() { // a trace is played by each of them, on keys of its own
		if keys < f.Producers && keys > 0 {
			return drive.Config{}, fmt.Errorf("%d keys are not enough for %d producers", keys, f.Producers)
		}
		keys = (keys + f.Producers - 1 - part) / f.Producers
	}
	if f.Producers > 1 {
		run = fmt.Sprintf("%s.%d", run, part)
	}
	cfg := drive.Config{
		App:             app,
		Run:             run,
		Schedule:        f.Rate,
		InFlight:        f.InFlight,
		WarmUp:          f.WarmUp,
		Duration:        f.duration(),
		Events:          f.Events,
		Keys:            keys,
		Distribution:    f.Distribution,
		Payload:         expect.Payload{Content: f.Payload, Size: f.Size},
		Poison:          f.Poison,
		Seed:            f.Seed + uint64(part),
		Receipts:        share,
		DeliveryTimeout: f.DeliveryTimeout,
		DrainTimeout:    f.DrainTimeout,
		WaitParked:      f.WaitParked,
		Backlog:         f.Backlog,
		Part:            part,
		Parts:           f.Producers,
	}
	return cfg, cfg.Validate()
}

// maxProducers is how many processes one load may have.
const maxProducers = 64

func (f *loadFlags) duration() time.Duration {
	switch {
	case f.Duration != nil:
		return *f.Duration
	case f.Events > 0:
		return 0
	default:
		return defaultDuration
	}
}

// keys returns how many there are to be, 0 for those of a trace.
func (f *loadFlags) keys() int {
	switch {
	case f.Keys != nil:
		return *f.Keys
	case f.Distribution.Recorded():
		return 0
	default:
		return defaultKeys
	}
}

func (f *loadFlags) share() (pace.Share, error) {
	switch f.Receipts {
	case "auto":
		return drive.AutoShare(f.Rate.Peak()), nil
	case "all":
		return 1, nil
	}
	share, err := pace.ParseShare(f.Receipts)
	if err != nil {
		return 0, fmt.Errorf("receipts must be auto, all or a share: %w", err)
	}
	return share, nil
}

// conflict returns an error for flags that contradict each other.
func (f *loadFlags) conflict() error {
	switch {
	case f.Duration != nil && *f.Duration <= 0:
		return fmt.Errorf("duration must be more than 0, not %s", *f.Duration)
	case f.Producers < 1 || f.Producers > maxProducers:
		return fmt.Errorf("producers must be from 1 to %d, not %d", maxProducers, f.Producers)
	case f.Backlog && f.Producers > 1:
		return fmt.Errorf("--backlog needs --producers=1, not %d: one producer tells the workers when to go on", f.Producers)
	case f.FindMax < 0:
		return fmt.Errorf("find-max must be more than 0, not %s", f.FindMax)
	case f.FindMax > 0 && f.Backlog:
		return fmt.Errorf("--find-max measures latency, which --backlog spoils: give one of them")
	case f.FindMax > 0 && !f.Rate.Max() && !f.Rate.Constant():
		return fmt.Errorf("--find-max tries constant rates: --rate=%s must be a number, the first one to try", f.Rate)
	}
	return nil
}

// report is how the load was made, for people to make it again.
func (f *loadFlags) report(app, run, profile string, shards int) report.Config {
	share, _ := f.share() // config has refused what is wrong
	c := report.Config{
		App:          app,
		Run:          run,
		Profile:      profile,
		Rate:         f.Rate.String(),
		InFlight:     f.InFlight,
		Events:       f.Events,
		Producers:    f.Producers,
		Keys:         f.keys(),
		Distribution: f.Distribution.String(),
		Payload:      expect.Payload{Content: f.Payload, Size: f.Size}.String(),
		Poison:       f.Poison,
		Seed:         f.Seed,
		Receipts:     float64(share),
		Shards:       shards,
	}
	if d := f.duration(); d > 0 {
		c.Duration = d.String()
	}
	if f.WarmUp > 0 {
		c.WarmUp = f.WarmUp.String()
	}
	return c
}
