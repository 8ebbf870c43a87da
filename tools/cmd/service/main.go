// Command service adds services to the repository in the working directory, and takes them away.
//
//	service new NAME [KIND [APP]]
//	service remove NAME [yes]
//
// KIND is worker, producer or api. A worker is an app of its own, of its name; APP is the app that a producer or api is for, by
// default the first of the local stack. A service is a folder in services/ and a line in each of services/services.json, go.work
// and .gitignore; all else reads these. remove keeps a folder whose files git does not have, unless yes is given.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
)

func main() {
	if err := run(".", os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "service:", err)
		os.Exit(1)
	}
}

var errUsage = errors.New("want: service new NAME [KIND [APP]], or: service remove NAME [yes]")

// run carries out one command in the repository at root.
func run(root string, args []string, out io.Writer) error {
	if len(args) < 1 || len(args) > 4 {
		return errUsage
	}
	command, args := args[0], append(args[1:], "", "", "")
	r, err := open(root)
	if err != nil {
		return err
	}
	switch command {
	case "new":
		return r.add(args[0], args[1], args[2], out)
	case "remove":
		if force := args[1]; force != "" && force != "yes" {
			return fmt.Errorf("FORCE=%s: want yes, or nothing", force)
		}
		return r.remove(args[0], args[1] == "yes", out)
	}
	return errUsage
}
