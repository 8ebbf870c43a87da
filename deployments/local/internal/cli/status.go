package cli

import (
	"errors"
)

type status struct {
	Dir string `default:"${dir}" help:"The stack's directory."`
}

// Run prints the shards and members.
func (c *status) Run(e *environment) error { return errors.New("pkg/query is not there yet") }
