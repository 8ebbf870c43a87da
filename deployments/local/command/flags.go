package command

import (
	"fmt"

	"example.com/lockstep/deployments/local/stack"
	"example.com/lockstep/pkg/servicefile"
)

// StackFlags are the flags of every command that runs a stack.
type StackFlags struct {
	Shards         int      `default:"16" help:"Shards of a new stack."`
	Lanes          string   `default:"auto" help:"Streams of a new stack: a number, or auto for one per 16 shards."`
	Redis          string   `default:"auto" placeholder:"auto|embedded|cluster|sentinel|HOST:PORT|URL" env:"${env}_STACK_REDIS" help:"${help_redis}"`
	App            string   `placeholder:"NAME" help:"Name of the first app. Default: ${app}, or the first of the list if that names them all."`
	Services       string   `type:"path" placeholder:"FILE" help:"List of the services, such as services/services.json. Default: one app, with the programs router, worker and producer."`
	Bin            string   `default:"${bin}" type:"path" help:"Directory of the built programs."`
	RouterFlag     []string `sep:"none" placeholder:"FLAG" help:"Flag for every router, as in --router-flag=--history-age=2h; repeatable."`
	WorkerFlag     []string `sep:"none" placeholder:"FLAG" help:"Flag for every worker of the first app; repeatable."`
	StopWithParent bool     `help:"Stop in order when the parent process ends."`
}

// helpRedis is the help of --redis.
const helpRedis = "auto: redis-server if on PATH, else embedded. embedded: miniredis in this process, which keeps nothing. " +
	"cluster, sentinel: redis-servers of the stack's own, which keep nothing. Else an address or URL as for worker --redis. " +
	"Give a password by the environment: other users can read flags."

// Config is a stack's configuration by these flags. The caller adds the number of processes and the directory.
func (f StackFlags) Config(e Environment) (stack.Config, error) {
	services, err := Services(f.Services)
	return stack.Config{
		Bin: f.Bin, App: f.App, Services: services, Shards: f.Shards, Lanes: f.Lanes, Redis: f.Redis,
		RouterFlags: f.RouterFlag, WorkerFlags: f.WorkerFlag,
		Say:   func(line string) { fmt.Fprintln(e.Out, line) },
		Probe: e.Probe,
	}, err
}

// FirstApp is the configuration for the first app alone.
func (f StackFlags) FirstApp(e Environment) (stack.Config, error) {
	cfg, err := f.Config(e)
	cfg.OnlyFirst = true
	return cfg, err
}

// Services returns the services that a file lists, nil if no file is named.
func Services(file string) ([]servicefile.Service, error) {
	if file == "" {
		return nil, nil
	}
	return servicefile.Read(file)
}
