// Command tryfork forks a copy of the repository in the working directory and requires that the fork works.
//
//	tryfork [-seed=N] [-full] [MODULE=APP ...]
//
// Without names there is one, drawn from the seed; -full without names takes five, of different lengths. A fork must be in
// order as gofmt and go mod tidy have it, build, pass go vet and the tests that mention a name, and a short demo. With -full
// it must also pass all of .ci/run, which takes long: some half an hour for each name.
package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"example.com/lockstep/tools/rename"
)

// fullNames are the forks that -full tries. Some of them are words that are all over the sources.
var fullNames = []rename.Names{
	{Module: "a.b/c", App: "x"},
	{Module: "event", App: "event"},
	{Module: "example.org/work", App: "work"},
	{Module: "github.com/my-company/orders", App: "orders"},
	{Module: "git.internal.example.org/platform/payments/event-backend/app", App: "event-backend-of-the-payments"},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	seed := flag.Uint64("seed", uint64(time.Now().UnixNano()), "for the name that is drawn")
	full := flag.Bool("full", false, "run .ci/run in each fork as well")
	flag.Parse()
	names, err := chosen(flag.Args(), *full, *seed)
	if err != nil {
		fmt.Fprintln(os.Stderr, "tryfork:", err)
		os.Exit(2)
	}
	failed := 0
	var summary strings.Builder
	for i, n := range names {
		began := time.Now()
		result := "ok"
		if err := try(ctx, n, i%2 == 0, *full); err != nil {
			failed++
			result = err.Error()
		}
		fmt.Fprintf(&summary, "MODULE=%s APP=%s: %s, %.0f s\n", n.Module, n.App, result, time.Since(began).Seconds())
	}
	fmt.Printf("\n%s%d forks, %d failed\n", &summary, len(names), failed)
	if failed > 0 {
		os.Exit(1)
	}
}

func chosen(args []string, full bool, seed uint64) ([]rename.Names, error) {
	if len(args) == 0 && full {
		return fullNames, nil
	}
	if len(args) == 0 {
		fmt.Printf("the name is drawn from -seed=%d\n", seed)
		return []rename.Names{drawn(rand.New(rand.NewPCG(seed, 0)))}, nil
	}
	var names []rename.Names
	for _, arg := range args {
		module, app, ok := strings.Cut(arg, "=")
		if !ok {
			return nil, fmt.Errorf("%q: want MODULE=APP, as in github.com/acme/orders=orders", arg)
		}
		names = append(names, rename.Names{Module: module, App: app})
	}
	return names, nil
}

// drawn returns names that can be: one to four elements of 1 to 20 characters after a host, and an app of 1 to 31.
func drawn(r *rand.Rand) rename.Names {
	word := func(most int, inner string) string {
		b := []byte{byte('a' + r.IntN(26))}
		for range r.IntN(most) {
			b = append(b, inner[r.IntN(len(inner))])
		}
		return string(b)
	}
	const letters, digits = "abcdefghijklmnopqrstuvwxyz", "0123456789"
	for {
		module := word(10, letters+digits) + "." + word(4, letters)
		for range 1 + r.IntN(4) {
			module += "/" + word(20, letters+digits+"-_")
		}
		n := rename.Names{Module: module, App: word(31, letters+digits+"-")}
		if n.Check() == nil { // `con` and the like are no elements of paths
			return n
		}
	}
}
