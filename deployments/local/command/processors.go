package command

import (
	"os"
	"runtime"
	"strconv"
)

// ShareProcessors gives this process and each child a share of the processors, unless GOMAXPROCS says otherwise: NATS, a
// router and some workers are all busy at once. With all processors each, they spend their time waking threads for one
// another.
func ShareProcessors() {
	if os.Getenv("GOMAXPROCS") != "" {
		return
	}
	share := max(1, runtime.GOMAXPROCS(0)/4)
	runtime.GOMAXPROCS(share)
	_ = os.Setenv("GOMAXPROCS", strconv.Itoa(share)) // fails only for a bad name; the children inherit it
}
