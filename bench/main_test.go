package main

import (
	"errors"
	"strings"
	"testing"

	"example.com/lockstep/pkg/service"
)

// A wrong flag is one line that says what, which value and what to do, and exit code 2.
func TestFlagsRefused(t *testing.T) {
	for flag, wants := range map[string][]string{
		"--rounds=0":              {"--rounds=0", "from 1 to"},
		"--rounds=x":              {"--rounds", "x"},
		"--duration=5ms":          {"--duration=5ms", "at least 100ms"},
		"--duration=5":            {"--duration", "5"},
		"--shards=16,0":           {"--shards=0", "from 1 to 4096"},
		"--shards=5000":           {"--shards=5000", "from 1 to 4096"},
		"--shards=":               {"--shards", "give a number"},
		"--shards=4,4":            {"--shards", "4 is there twice"},
		"--workers=65":            {"--workers=65", "from 1 to 64"},
		"--workers=two":           {"--workers", "two"},
		"--keys=0":                {"--keys=0", "from 1 to"},
		"--size=8":                {"--size=8", "from 24 to"},
		"--only=kafka":            {"--only=kafka", "choose from", "lockstep"},
		"--out=":                  {"--out is empty", "name a file"},
		"--bin=/no/such/folder":   {"--bin", "/no/such/folder"},
		"--distribution=zipf:1.0": {"--distribution"},
	} {
		t.Run(flag, func(t *testing.T) {
			args := []string{flag}
			if !strings.HasPrefix(flag, "--bin") {
				args = append(args, "--bin=.")
			}
			_, err := service.Parse("bench", "", &CLI{}, args)
			var exit *service.ExitError
			if !errors.As(err, &exit) || exit.Code != service.ExitUsage {
				t.Fatalf("got %v, want an exit code of %d", err, service.ExitUsage)
			}
			for _, want := range wants {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("%q is more than one line", err)
			}
		})
	}
}

func TestFlagsTaken(t *testing.T) {
	var cli CLI
	if _, err := service.Parse("bench", "", &cli, []string{"--bin=.", "--shards=4,8", "--workers=3", "--only=raw,lockstep"}); err != nil {
		t.Fatal(err)
	}
	chosen, err := choosePeers(cli.Only)
	if err != nil {
		t.Fatal(err)
	}
	all, main := cells(cli.Shards, cli.Workers)
	rows := plan(chosen, all, main)
	if main != (cell{4, 3}) || len(rows) != 4 {
		t.Fatalf("main %v, %d rows", main, len(rows))
	}
}

func TestEveryPeerIsComplete(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range peers() {
		if p.name == "" || seen[p.name] || p.title == "" || p.run == nil || p.settings == "" {
			t.Errorf("%q lacks something, or is there twice", p.name)
		}
		if pr := p.promise; pr.order == "" || pr.effects == "" || pr.failover == "" || pr.durable == "" {
			t.Errorf("%s does not say what it promises", p.name)
		}
		if help := onlyHelp(t); !strings.Contains(help, p.name) {
			t.Errorf("the help of --only does not name %s", p.name)
		}
		seen[p.name] = true
	}
}
