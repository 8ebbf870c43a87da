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

// Program is one of our programs as a process. Its output is its standard error, and its standard output unless the command
// sends that to another place.
type Program struct {
	End  *time.Timer // kills it
	Seen []string    // the lines of output read so far

	t      *testing.T
	cmd    *exec.Cmd
	output *bufio.Scanner
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
	return &Program{t: t, cmd: cmd, output: bufio.NewScanner(pipe), End: end}
}

func (p *Program) next() bool {
	if !p.output.Scan() {
		return false
	}
	p.Seen = append(p.Seen, p.output.Text())
	return true
}

// Await reads output until a line contains text.
func (p *Program) Await(text string) {
	p.t.Helper()
	for p.next() {
		if strings.Contains(p.output.Text(), text) {
			return
		}
	}
	require.FailNow(p.t, "ended without saying "+text, strings.Join(p.Seen, "\n"))
}

// Signal sends the program a signal.
func (p *Program) Signal(sig os.Signal) {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(sig))
}

// ExitCode reads the rest of the output, that of the program's own children too, and waits for the end.
func (p *Program) ExitCode() int {
	for p.next() {
	}
	p.cmd.Wait()
	return p.cmd.ProcessState.ExitCode()
}
