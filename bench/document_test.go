package main

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

// onlyHelp is what --help says of --only.
func onlyHelp(t *testing.T) string {
	t.Helper()
	f, _ := reflect.TypeFor[CLI]().FieldByName("Only")
	return f.Tag.Get("help")
}

func TestDocument(t *testing.T) {
	results := func(rates ...float64) (out []result) {
		for _, r := range rates {
			out = append(out, result{perSecond: r, tally: tally{reordered: 1234}})
		}
		return out
	}
	main := cell{16, 2}
	d := document{
		cli: &CLI{Rounds: 3, Duration: 3 * time.Second, Keys: 10_000, Size: 128, Shards: []int{16, 64}, Workers: []int{1, 2}},
		rows: []*row{
			{peer: &lockstepPeer, cell: main, runs: results(400_000, 300_000, 440_000)},
			{peer: &textbookPeer, cell: main, runs: results(30_000, 30_000, 30_000)},
			{peer: &rabbitPeer, cell: main, none: "rabbitmq-server not on PATH"},
			{peer: &streamsPeer, cell: main, runs: results(100_000)},
			{peer: &lockstepPeer, cell: cell{64, 1}, runs: results(250_000)},
		},
		main:     main,
		date:     time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC),
		machine:  machine{Cores: 2, CPU: "some CPU", Memory: "4 GiB", Kernel: "linux 1", Disk: "ext4 on sda"},
		versions: []version{{"Go", "go1.26"}},
	}
	text, err := d.render()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"on 2030-01-02",
		"## 16 shards, 2 workers",
		"| Lockstep | 400,000 | -25% +10% | by key |",
		"| lock per message | 30,000 | +0% +0% | no: messages of a key overtake one another (1,230 keys out of order in the median round) |",
		"| RabbitMQ | rabbitmq-server not on PATH |  | by queue",
		"| peer | shards | 1 worker | 2 workers |",
		"| Lockstep | 16 | not run | 400,000 (-25% +10%) |",
		"| Lockstep | 64 | 250,000 (+0% +0%) | not run |",
		"| Redis Streams | 64 | not run | not run |",
		"**RabbitMQ** (`--only=rabbitmq`)",
		"| processors | 2 x some CPU |",
		"| Go | go1.26 |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("it lacks %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, "lock per message | 16") {
		t.Error("a peer of one cell is in the matrix")
	}
}

func TestDisk(t *testing.T) {
	const mounts = "/dev/root / ext4 rw 0 0\nproc /proc proc rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n"
	for dir, want := range map[string]string{"/tmp/x": "tmpfs on tmpfs", "/var/tmp": "ext4 on root", "/tmpx": "ext4 on root"} {
		if got := disk(mounts, dir); got != want {
			t.Errorf("%s: %q, want %q", dir, got, want)
		}
	}
	if got := gibibytes(field("MemTotal:       24683624 kB\n", "MemTotal")); got != "24 GiB" {
		t.Error(got)
	}
}
