//go:build !linux

package testkit

import "os/exec"

// dieWithParent has no means outside Linux: a killed test may leave its redis-server behind.
func dieWithParent(*exec.Cmd) {}
