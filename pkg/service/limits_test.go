package service

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestProfilesThatLastTooLongAreRefused(t *testing.T) {
	a := startAdmin(t)
	for _, path := range []string{"trace?seconds=99999", "profile?seconds=61", "heap?seconds=1e9", "trace?seconds=inf", "trace?seconds=nan", "profile?seconds=long"} {
		code, body := get(t, a, "/debug/pprof/"+path)
		require.Equal(t, http.StatusBadRequest, code, path)
		require.Contains(t, body, "want a number up to 60", path)
	}
	code, _ := get(t, a, "/debug/pprof/trace?seconds=0.001")
	require.Equal(t, http.StatusOK, code)
}

func TestLargeBodiesAreRefused(t *testing.T) {
	a := startAdmin(t)
	const post = "POST /debug/pprof/symbol HTTP/1.1\r\nHost: x\r\n"
	answers := func(conn net.Conn) (int, string) {
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(t, err)
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		return res.StatusCode, string(body)
	}
	code, _ := answers(dialAdmin(t, a, post+fmt.Sprintf("Content-Length: %d\r\n\r\n", maxBody+1)))
	require.Equal(t, http.StatusRequestEntityTooLarge, code)
	// One that does not tell its length is read up to the limit, and not to its end.
	chunk := fmt.Sprintf("%x\r\n%s", maxBody+2, strings.Repeat("0+", maxBody/2+1))
	_, body := answers(dialAdmin(t, a, post+"Transfer-Encoding: chunked\r\n\r\n"+chunk))
	require.Contains(t, body, "request body too large")
}

// awaitClosed returns when the server has closed a connection.
func awaitClosed(t *testing.T, conn net.Conn) {
	t.Helper()
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(30*time.Second)))
	_, err := io.Copy(io.Discard, conn)
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
}

func dialAdmin(t *testing.T, a *Admin, says string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", a.Addr())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	_, err = io.WriteString(conn, says)
	require.NoError(t, err)
	return conn
}

// A client that stays and does nothing loses its connection.
func TestSlowClientsAreCutOff(t *testing.T) {
	a := newAdmin(t)
	a.server.IdleTimeout = 50 * time.Millisecond // of 30 s: the others are waited for
	require.NoError(t, a.Start(t.Context()))
	for _, says := range []string{
		"", "GET /healthz HTTP/1.1\r\nHost:", "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST /debug/pprof/symbol HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n0x",
		"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n0x",
	} {
		conn := dialAdmin(t, a, says)
		t.Run(strings.SplitN(says, "\r", 2)[0], func(t *testing.T) {
			t.Parallel()
			awaitClosed(t, conn)
		})
	}
}

func TestManyConnectionsAreRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	few := newFewConns(l, 2)
	defer few.Close()
	dial := func() net.Conn {
		conn, err := net.Dial("tcp", l.Addr().String())
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
	accept := func() net.Conn {
		conn, err := few.Accept()
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
	dial()
	first := accept()
	dial()
	accept()
	third := dial()
	next := make(chan net.Conn, 1)
	go func() { next <- accept() }()
	awaitClosed(t, third)
	require.NoError(t, first.Close())
	require.Error(t, first.Close(), "and gives its place back once")
	fourth := dial()
	require.Equal(t, fourth.LocalAddr(), (<-next).RemoteAddr())
}
