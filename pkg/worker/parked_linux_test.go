package worker_test

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"example.com/lockstep/pkg/query"
	"github.com/stretchr/testify/require"
)

// terminal opens a terminal: a test types by writing to operator.
func terminal(t *testing.T) (operator, program *os.File) {
	operator, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = operator.Close() })
	control := func(request uintptr, n *uint32) {
		raw, err := operator.SyscallConn()
		require.NoError(t, err)
		var errno syscall.Errno
		require.NoError(t, raw.Control(func(fd uintptr) {
			_, _, errno = syscall.Syscall(syscall.SYS_IOCTL, fd, request, uintptr(unsafe.Pointer(n)))
		}))
		require.Zero(t, errno)
	}
	var unlocked, number uint32
	control(syscall.TIOCSPTLCK, &unlocked)
	control(syscall.TIOCGPTN, &number)
	program, err = os.OpenFile(fmt.Sprint("/dev/pts/", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = program.Close() })
	return operator, program
}

// On a terminal a drop asks, and only yes is yes.
func TestParkedDropAsks(t *testing.T) {
	d := newDesk(t)
	d.serve(t, query.Worker{}, query.Owner{})
	d.route(t)
	d.three(t)
	drop := func(answer string) (said string, err error) {
		operator, program := terminal(t)
		cmd, _ := command(t, "parked", "drop", "alice", d.at)
		cmd.Stdin, cmd.Stderr = program, program
		require.NoError(t, cmd.Start())
		screen := bufio.NewReader(operator)
		for !strings.HasSuffix(said, "[y/N] ") {
			c, rerr := screen.ReadByte()
			require.NoError(t, rerr, said)
			said += string(c)
		}
		_, err = operator.WriteString(answer)
		require.NoError(t, err)
		return said, cmd.Wait()
	}
	for _, answer := range []string{"\n", "n\n", "yep\n", "\x04"} { // the last is the end of the input
		said, err := drop(answer)
		require.Error(t, err)
		require.Contains(t, said, "Drop 12 events of key alice, 1-0-10 to 1-0-21? They will never be applied. [y/N] ")
		require.Empty(t, d.commands(t))
	}
	_, err := drop("y\n")
	require.NoError(t, err)
	require.Len(t, d.commands(t), 1)
}
