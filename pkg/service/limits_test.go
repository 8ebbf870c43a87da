package service

import (
	"bytes"
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

// zeros are endless, and their length is not told beforehand.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = '0'
	}
	return len(p), nil
}

func TestLargeBodiesAreRefused(t *testing.T) {
	a := startAdmin(t)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Post("http://"+a.Addr()+"/debug/pprof/symbol", "", bytes.NewReader(make([]byte, maxBody+1)))
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusRequestEntityTooLarge, res.StatusCode)
	// Of one without a length no more is read. What the client sees depends on how far it had come.
	_, err = client.Post("http://"+a.Addr()+"/debug/pprof/symbol", "", zeros{})
	if err == nil {
		t.Log("answered before the body's end")
	}
	code, _ := get(t, a, "/healthz")
	require.Equal(t, http.StatusOK, code)
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
