package command

import (
	"fmt"

	"example.com/lockstep/deployments/local/stack"
)

// StackFlags are the flags of every command that runs a stack.
type StackFlags struct {
	Shards         int      `default:"16" help:"Shards of a new topology; ignored when there is one."`
	Lanes          string   `default:"auto" help:"Streams of a new topology: a number, or auto for one per 16 shards."`
	Redis          string   `default:"auto" placeholder:"auto|embedded|HOST:PORT|URL" env:"LOCKSTEP_STACK_REDIS" help:"auto: redis-server if on PATH, else embedded. embedded: miniredis in this process, which keeps nothing. An URL with a password is best given by the environment, as other users can read a process's flags."`
	App            string   `default:"lockstep" help:"Name that prefixes subjects, streams and keys."`
	Bin            string   `default:"${bin}" type:"path" help:"Directory of the built programs."`
	RouterFlag     []string `sep:"none" placeholder:"FLAG" help:"One more flag for every router, as in --router-flag=--history-age=2h; repeatable."`
	WorkerFlag     []string `sep:"none" placeholder:"FLAG" help:"One more flag for every worker; repeatable."`
	StopWithParent bool     `help:"Stop in order when the process that ran this one is gone."`
}

// Config is the configuration of a stack with these flags. It has no processes yet.
func (f StackFlags) Config(e Environment) stack.Config {
	return stack.Config{
		Bin: f.Bin, App: f.App, Shards: f.Shards, Lanes: f.Lanes, Redis: f.Redis,
		RouterFlags: f.RouterFlag, WorkerFlags: f.WorkerFlag,
		Say:   func(line string) { fmt.Fprintln(e.Out, line) },
		Probe: e.Probe,
	}
}
