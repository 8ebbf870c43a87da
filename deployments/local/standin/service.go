// Package standin plays the services of a stack, in tests of the programs that run one: small, quick, and as bad as the
// test wants them. A test binary plays them when it is run under their names; see Play and Bin.
package standin

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"example.com/lockstep/pkg/stackfile"
)

// Play plays the service of that name with its flags, and returns its exit code. There are router, worker and producer;
// for another name it returns false.
func Play(name string, flags []string) (code int, known bool) {
	switch name {
	case "router", "worker":
		return service(flags), true
	case "producer":
		return producer(flags), true
	}
	return 0, false
}

func flagValue(flags []string, name string) string {
	for _, flag := range flags {
		if value, found := strings.CutPrefix(flag, "--"+name+"="); found {
			return value
		}
	}
	return ""
}

// About is what a stand-in tells of itself at /about.
type About struct{ Args, Env []string }

// service serves /readyz and /about, and ends on SIGTERM. --fake=exit makes it fail, --fake=deaf ignore SIGTERM.
func service(flags []string) int {
	mode := flagValue(flags, "fake")
	if mode == "exit" {
		fmt.Println("cannot do it")
		return 3
	}
	terms := make(chan os.Signal, 1)
	signal.Notify(terms, syscall.SIGTERM)
	http.HandleFunc("/readyz", func(http.ResponseWriter, *http.Request) {})
	http.HandleFunc("/about", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(About{Args: flags, Env: os.Environ()})
	})
	listener, err := net.Listen("tcp", flagValue(flags, "admin"))
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("serving")
	go func() { _ = http.Serve(listener, nil) }()
	for range terms {
		if mode != "deaf" {
			return 0
		}
	}
	return 0
}

// producer waits until a worker of the stack dies, with FAKE_UNTIL=noted until that is noted, reports what FAKE_REPORT
// says and exits with FAKE_EXIT.
func producer(flags []string) int {
	f, err := stackfile.Read(flagValue(flags, "stack"))
	if err != nil {
		fmt.Println(err)
		return 1
	}
	died := make(chan error)
	for _, p := range f.Processes {
		if p.Role == stackfile.RoleWorker {
			go func() { died <- awaitDeath(p.Admin) }()
		}
	}
	if err := <-died; err != nil {
		fmt.Println(err)
		return 1
	}
	if os.Getenv("FAKE_UNTIL") == "noted" {
		awaitContent(flagValue(flags, "annotations"))
	}
	report := os.Getenv("FAKE_REPORT")
	if report == "" {
		fmt.Println("no report today")
		return 1
	}
	if err := os.WriteFile(flagValue(flags, "out"), []byte(report), 0o644); err != nil {
		fmt.Println(err)
		return 1
	}
	code, _ := strconv.Atoi(os.Getenv("FAKE_EXIT"))
	return code
}

// awaitContent returns when there is something in a file.
func awaitContent(path string) {
	for {
		if info, err := os.Stat(path); err == nil && info.Size() > 0 {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// awaitDeath returns when the process that listens at address is gone.
func awaitDeath(address string) error {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	_, _ = io.Copy(io.Discard, conn) // ends with the process, by an EOF or a reset
	return nil
}
