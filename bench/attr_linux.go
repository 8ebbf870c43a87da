package main

import "syscall"

// attributes let the kernel end a child when this process ends, however it ends. That is tied to the thread that started it:
// see main.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
