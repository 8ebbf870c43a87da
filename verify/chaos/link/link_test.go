package link

import (
	"bytes"
	"crypto/sha256"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo is a server that sends everything back, and a link to it.
func echo(t *testing.T) *Link {
	t.Helper()
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
	l, err := New(listener.Addr().String(), 1)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	return l
}

func dial(t *testing.T, l *Link) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", l.Addr())
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// ask sends a word and reads it back.
func ask(t *testing.T, c net.Conn, word string) {
	t.Helper()
	_, err := c.Write([]byte(word))
	require.NoError(t, err)
	hear(t, c, word)
}

func hear(t *testing.T, c net.Conn, word string) {
	t.Helper()
	got := make([]byte, len(word))
	_, err := io.ReadFull(c, got)
	require.NoError(t, err)
	require.Equal(t, word, string(got))
}

func TestSlow(t *testing.T) {
	l := echo(t)
	c := dial(t, l)
	l.Slow(50*time.Millisecond, 20*time.Millisecond)
	began := time.Now()
	ask(t, c, "one")
	require.GreaterOrEqual(t, time.Since(began), 60*time.Millisecond, "there and back")
	l.Slow(0, 0)
	ask(t, c, "two")
}

// Data arrives as it was sent, whatever the jitter.
func TestSlowKeepsOrder(t *testing.T) {
	l := echo(t)
	c := dial(t, l)
	l.Slow(time.Millisecond, time.Millisecond)
	sent := make([]byte, 8<<20)
	for i := range sent {
		sent[i] = byte(i * i >> 7)
	}
	go func() {
		for part := range bytesIn(sent, 10_000) {
			_, _ = c.Write(part)
		}
	}()
	got := make([]byte, len(sent))
	_, err := io.ReadFull(c, got)
	require.NoError(t, err)
	require.Equal(t, sha256.Sum256(sent), sha256.Sum256(got))
}

func bytesIn(b []byte, n int) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for len(b) > 0 {
			part := b[:min(n, len(b))]
			if !yield(part) {
				return
			}
			b = b[len(part):]
		}
	}
}

func TestStallKeepsWhatIsSent(t *testing.T) {
	l := echo(t)
	c := dial(t, l)
	ask(t, c, "one")
	l.Stall()
	l.Stall()
	_, err := c.Write([]byte("two"))
	require.NoError(t, err)
	require.NoError(t, c.SetReadDeadline(time.Now().Add(50*time.Millisecond)))
	_, err = c.Read(make([]byte, 1))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.NoError(t, c.SetReadDeadline(time.Time{}))
	l.Resume()
	l.Resume()
	hear(t, c, "two")
}

// A sender on a stalled link is held up: it sends no more than the link and the kernel buffer.
func TestStallHoldsWritersUp(t *testing.T) {
	l := echo(t)
	c := dial(t, l)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(io.Discard, c)
	}()
	l.Stall()
	require.NoError(t, c.SetWriteDeadline(time.Now().Add(time.Second)))
	n, err := c.Write(bytes.Repeat([]byte("0123456789"), 10<<20))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.LessOrEqual(t, n, 20<<20)
	require.NoError(t, c.Close())
	<-ended
}

func TestCutAndDown(t *testing.T) {
	l := echo(t)
	c := dial(t, l)
	ask(t, c, "one")
	l.Cut()
	_, err := c.Read(make([]byte, 1))
	require.Error(t, err)
	c = dial(t, l)
	ask(t, c, "two")

	l.Down()
	_, err = c.Read(make([]byte, 1))
	require.Error(t, err)
	requireReset(t, l)
	l.Up()
	ask(t, dial(t, l), "three")
}

func TestNobodyListens(t *testing.T) {
	l, err := New("127.0.0.1:1", 1)
	require.NoError(t, err)
	defer l.Close()
	requireReset(t, l)
}

// requireReset requires that a new connection is reset, be it before or after the client knows of it.
func requireReset(t *testing.T, l *Link) {
	t.Helper()
	c, err := net.Dial("tcp", l.Addr())
	if err == nil {
		defer c.Close()
		_, err = c.Read(make([]byte, 1))
	}
	require.Error(t, err)
}

// A link with a stalled connection can be closed.
func TestCloseWhileStalled(t *testing.T) {
	l := echo(t)
	c := dial(t, l)
	ask(t, c, "one")
	l.Stall()
	_, err := c.Write([]byte("two"))
	require.NoError(t, err)
	l.Slow(time.Hour, 0)
	_, err = c.Write([]byte("three"))
	require.NoError(t, err)
}
