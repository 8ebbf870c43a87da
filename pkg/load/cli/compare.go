package cli

import (
	"github.com/alecthomas/kong"

	"example.com/lockstep/pkg/load/internal/compare"
	"example.com/lockstep/pkg/load/internal/report"
)

type compareCommand struct {
	A string `arg:"" help:"A report.json, as 'load' writes it."`
	B string `arg:"" help:"Another one."`
}

// Run is called by kong.
func (c *compareCommand) Run(parsed *kong.Context) error {
	a, err := report.Read(c.A)
	if err != nil {
		return err
	}
	b, err := report.Read(c.B)
	if err != nil {
		return err
	}
	return compare.Write(parsed.Stdout, compare.Named{Name: c.A, Report: a}, compare.Named{Name: c.B, Report: b})
}
