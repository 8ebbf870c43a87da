package programs

import (
	"bufio"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Patience bounds every wait in these tests, and how long a program may take.
const Patience = time.Minute

// Program is one of ours as a process. What it says are the lines of its standard error, and of its standard output if
// that was given no other place.
type Program struct {
	End  *time.Timer // kills it
	Seen []string    // what it has said, as far as it was read

	t    *testing.T
	cmd  *exec.Cmd
	says *bufio.Scanner
}

// Start starts a program, which is killed when Patience runs out or the test ends.
func Start(t *testing.T, cmd *exec.Cmd) *Program {
	t.Helper()
	pipe, err := cmd.StderrPipe()
	require.NoError(t, err)
	if cmd.Stdout == nil {
		cmd.Stdout = cmd.Stderr
	}
	require.NoError(t, cmd.Start())
	end := time.AfterFunc(Patience, func() { cmd.Process.Kill() })
	t.Cleanup(func() {
		end.Stop()
		cmd.Process.Kill()
		cmd.Wait()
	})
	return &Program{t: t, cmd: cmd, says: bufio.NewScanner(pipe), End: end}
}

func (p *Program) next() bool {
	if !p.says.Scan() {
		return false
	}
	p.Seen = append(p.Seen, p.says.Text())
	return true
}

// Await reads until a line holds text.
func (p *Program) Await(text string) {
	p.t.Helper()
	for p.next() {
		if strings.Contains(p.says.Text(), text) {
			return
		}
	}
	require.FailNow(p.t, "ended without saying "+text, strings.Join(p.Seen, "\n"))
}

// Signal signals it.
func (p *Program) Signal(sig os.Signal) {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(sig))
}

// ExitCode reads the rest of what is said, by the program or by one that it started, and waits for the end.
func (p *Program) ExitCode() int {
	for p.next() {
	}
	p.cmd.Wait()
	return p.cmd.ProcessState.ExitCode()
}
