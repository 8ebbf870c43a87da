package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strings"
)

// counts are tests, subtests among them.
type counts struct{ passed, failed, skipped int }

func (c *counts) add(o counts) {
	c.passed += o.passed
	c.failed += o.failed
	c.skipped += o.skipped
}

func (c counts) String() string {
	return fmt.Sprintf("%d passed, %d failed, %d skipped", c.passed, c.failed, c.skipped)
}

// event is one line of go test -json (see `go doc test2json`).
type event struct {
	Action      string
	Package     string
	ImportPath  string // of a build's events
	Test        string
	Elapsed     float64 // seconds
	Output      string
	FailedBuild string // the ImportPath whose build failed
}

// report turns the events of one go test into text: a failed test's output as soon
// as it has failed, and a line for each package at its end.
type report struct {
	out    io.Writer
	total  counts
	notRun []string // the tests skipped, with their reasons

	packages map[string]*packageRun
	builds   map[string]*strings.Builder // what the compiler said, by import path
}

type packageRun struct {
	counts
	outputs map[string]*strings.Builder // by test; "" is the package's own
}

func newReport(out io.Writer) *report {
	return &report{out: out, packages: map[string]*packageRun{}, builds: map[string]*strings.Builder{}}
}

// read takes events until the end of in. A line that is none is shown as it is.
func (r *report) read(in io.Reader) error {
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) == nil {
				r.take(e)
			} else {
				fmt.Fprintf(r.out, "%s\n", strings.TrimSpace(string(line)))
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (r *report) take(e event) {
	switch e.Action {
	case "build-output":
		text(r.builds, e.ImportPath).WriteString(e.Output)
		return
	case "build-fail":
		return // the package's own fail event names it
	}
	p := r.packages[e.Package]
	if p == nil {
		p = &packageRun{outputs: map[string]*strings.Builder{}}
		r.packages[e.Package] = p
	}
	switch {
	case e.Action == "output":
		text(p.outputs, e.Test).WriteString(e.Output)
	case e.Test == "":
		r.endPackage(p, e)
	default:
		r.endTest(p, e)
	}
}

func (r *report) endTest(p *packageRun, e event) {
	said := text(p.outputs, e.Test).String()
	switch e.Action {
	case "pass":
		p.passed++
	case "skip":
		p.skipped++
		r.notRun = append(r.notRun, fmt.Sprintf("%s %s: %s", e.Package, e.Test, reason(said)))
	case "fail":
		p.failed++
		fmt.Fprintf(r.out, "FAIL %s %s\n%s", e.Package, e.Test, said)
	default:
		return
	}
	delete(p.outputs, e.Test)
}

func (r *report) endPackage(p *packageRun, e event) {
	switch e.Action {
	case "pass":
		fmt.Fprintf(r.out, "ok   %s %.1f s: %s\n", e.Package, e.Elapsed, p.counts)
	case "skip":
		fmt.Fprintf(r.out, "     %s: no tests\n", e.Package)
	case "fail":
		// What ends a package without a failed test (a build, a leak, os.Exit) is a failure too.
		if p.failed == 0 {
			p.failed++
		}
		if e.FailedBuild != "" {
			fmt.Fprint(r.out, text(r.builds, e.FailedBuild))
		}
		for _, rest := range p.outputs { // the package's own, and of tests it was torn from
			fmt.Fprint(r.out, rest)
		}
		fmt.Fprintf(r.out, "FAIL %s %.1f s: %s\n", e.Package, e.Elapsed, p.counts)
	default:
		return
	}
	r.total.add(p.counts)
}

func text(of map[string]*strings.Builder, name string) *strings.Builder {
	if of[name] == nil {
		of[name] = &strings.Builder{}
	}
	return of[name]
}

var sourceLine = regexp.MustCompile(`^\s*\S+\.go:\d+: `)

// reason returns what a skipped test said: the last line that t.Skip or t.Log wrote.
func reason(output string) string {
	why := "no reason given"
	for line := range strings.Lines(output) {
		if at := sourceLine.FindString(line); at != "" {
			why = strings.TrimSpace(line[len(at):])
		}
	}
	return why
}
