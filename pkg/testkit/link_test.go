package testkit

import (
	"bytes"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// echo is a server that sends back what it gets, and a connection to it over a link.
func echo(t *testing.T) (*Link, net.Conn) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ended := make(chan struct{})
	t.Cleanup(func() { _ = listener.Close(); <-ended })
	go func() {
		defer close(ended)
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = io.Copy(c, c)
			_ = c.Close()
		}
	}()
	l := NewLink(t, listener.Addr().String())
	return l, dial(t, l)
}

func dial(t *testing.T, l *Link) net.Conn {
	c, err := net.Dial("tcp", l.Addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func says(t *testing.T, c net.Conn, what string) {
	t.Helper()
	got := make([]byte, len(what))
	_, err := io.ReadFull(c, got)
	require.NoError(t, err)
	require.Equal(t, what, string(got))
}

func TestLinkStallsAndResumes(t *testing.T) {
	l, c := echo(t)
	_, err := c.Write([]byte("one"))
	require.NoError(t, err)
	says(t, c, "one")

	l.Stall()
	l.Stall()
	_, err = c.Write([]byte("two"))
	require.NoError(t, err)
	require.NoError(t, c.SetReadDeadline(time.Now().Add(50*time.Millisecond)))
	_, err = c.Read(make([]byte, 1))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded, "nothing comes, and the connection is open")
	require.NoError(t, c.SetReadDeadline(time.Time{}))
	l.Resume()
	l.Resume()
	says(t, c, "two")
}

// Who goes on to write is held up, though all that comes is read: no more leaves than the link and the kernel buffer.
func TestStalledLinkHoldsWritersUp(t *testing.T) {
	l, c := echo(t)
	l.Stall()
	sent := bytes.Repeat([]byte("0123456789"), 5<<20)
	got := make(chan []byte, 1)
	go func() {
		b := make([]byte, len(sent))
		_, _ = io.ReadFull(c, b)
		got <- b
	}()
	require.NoError(t, c.SetWriteDeadline(time.Now().Add(time.Second)))
	n, err := c.Write(sent)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.LessOrEqual(t, n, 20<<20)
	require.NoError(t, c.SetWriteDeadline(time.Time{}))
	l.Resume()
	_, err = c.Write(sent[n:])
	require.NoError(t, err)
	require.True(t, bytes.Equal(sent, <-got), "none is lost")
}

func TestLinkIsCut(t *testing.T) {
	l, c := echo(t)
	_, err := c.Write([]byte("one"))
	require.NoError(t, err)
	says(t, c, "one")
	l.Stall()
	l.Cut()
	_, err = c.Read(make([]byte, 1))
	require.Error(t, err)
	l.Resume()
	c = dial(t, l)
	_, err = c.Write([]byte("two"))
	require.NoError(t, err)
	says(t, c, "two")
}
