package stackfile_test

import (
	"errors"
	"fmt"
	"log"
	"os"

	"example.com/lockstep/pkg/stackfile"
)

// A tool finds a local stack by its directory.
func Example() {
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	_, err = stackfile.Read(dir)
	fmt.Println("no stack:", errors.Is(err, stackfile.ErrNoStack))

	err = stackfile.Write(dir, stackfile.File{
		PID: os.Getpid(), NATS: "nats://127.0.0.1:4222", Redis: "127.0.0.1:6379", App: "shop",
		Processes: []stackfile.Process{{Name: "worker-1", Role: stackfile.RoleWorker, PID: 4711, App: "shop"}},
	})
	if err != nil {
		log.Fatal(err)
	}
	file, err := stackfile.Read(dir)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(file.App, "on", file.NATS)
	// Output:
	// no stack: true
	// shop on nats://127.0.0.1:4222
}
