package testkit

import (
	"os/exec"
	"syscall"
)

// dieWithParent makes the kernel kill cmd when this process ends, however it ends.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
