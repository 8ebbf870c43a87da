package faults

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"example.com/lockstep/deployments/local/process"
	"example.com/lockstep/deployments/local/stack"
)

const (
	// deliveryTimeout and drainTimeout are longer than any fault lasts: an event that was given up proves less.
	deliveryTimeout = 2 * time.Minute
	drainTimeout    = 2 * time.Minute
	producerStop    = 3 * time.Second
)

// judged are the producer's exit codes with a verdict: pass, unfinished, fail and crossed.
var judged = []int{0, 97, 98, 99}

// load loads the stack while the plan is carried out, and returns the producer's exit code and the faults that happened.
func (c *chaos) load(soft, hard context.Context, s *stack.Stack, links *links) (code int, happened []note, err error) {
	notes, err := newNotes(c.notesFile())
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = notes.close() }()
	spec := c.producer()
	if c.cfg.Plan.hasLinks() {
		address, err := s.NATSFor(producerName)
		if err != nil {
			return 0, nil, err
		}
		spec.Args = append(spec.Args, "--nats="+address)
	}
	starter := process.NewStarter()
	defer starter.Close()
	producer, err := starter.Start(spec)
	if err != nil {
		return 0, nil, err
	}
	r := &run{
		seed: c.cfg.Plan.Seed, links: links, stack: s, shape: shapeOf(c.cfg.Stack), notes: notes, say: c.say,
		within: backWithin, held: map[string]*sync.Mutex{},
	}
	loading, loaded := context.WithCancel(soft)
	defer loaded()
	defer context.AfterFunc(soft, func() { producer.Signal(syscall.SIGTERM) })()
	played := make(chan error, 1)
	go func() { played <- r.play(soft, loading, c.cfg.Plan) }()
	select {
	case <-producer.Ended():
		loaded()
		err = <-played
	case err = <-played:
	}
	c.await(soft, hard, producer)
	if soft.Err() != nil {
		return 0, nil, context.Cause(soft)
	}
	for _, how := range s.Crashes() {
		err = errors.Join(err, errors.New(how))
	}
	code = producer.ExitCode()
	if !slices.Contains(judged, code) {
		err = errors.Join(err, fmt.Errorf("the load ended without a verdict: %s", producer.Outcome()))
	}
	return code, notes.byTime(), err
}

// await waits for the producer's end. When soft ends it waits only producerStop longer: the run will not be judged.
func (c *chaos) await(soft, hard context.Context, producer *process.Process) {
	select {
	case <-producer.Ended():
		return
	case <-soft.Done():
	}
	ctx, cancel := context.WithTimeout(hard, producerStop)
	defer cancel()
	select {
	case <-producer.Ended():
	case <-ctx.Done():
		producer.Signal(syscall.SIGKILL)
		<-producer.Ended()
	}
}

func (c *chaos) producer() process.Spec {
	p := c.cfg.Plan
	return process.Spec{
		Name: "producer",
		Path: filepath.Join(c.cfg.Stack.Bin, c.program),
		Args: []string{
			"load", "--stack=" + c.path("stack"), "--rate=" + c.cfg.Rate, "--duration=" + p.Duration.String(),
			"--keys=" + strconv.Itoa(c.cfg.Keys), "--seed=" + strconv.FormatUint(p.Seed, 10),
			"--delivery-timeout=" + deliveryTimeout.String(), "--drain-timeout=" + drainTimeout.String(),
			"--annotations=" + c.notesFile(), "--out=" + c.cfg.Report,
		},
		Log: c.path("producer.log"),
		Out: c.cfg.Out,
	}
}
