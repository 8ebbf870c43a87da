package consume

import (
	"testing"

	"example.com/lockstep/pkg/aside"
	"example.com/lockstep/pkg/frame"
	"github.com/stretchr/testify/require"
)

func TestCommandOfTheLog(t *testing.T) {
	require.Equal(t, aside.Command{Op: aside.Retry, First: "a", Last: "b", Count: 2},
		commandOf(frame.Command{Op: frame.CommandRetry, Key: "k", First: "a", Last: "b", Count: 2}))
	require.Equal(t, aside.Drop, commandOf(frame.Command{Op: frame.CommandDrop}).Op)
}

func TestJudgeACommand(t *testing.T) {
	parked := aside.Head{First: 10, Next: 15, Status: aside.Parked}
	retrying := aside.Head{First: 10, Next: 15, Attempts: 2}
	marked := aside.Head{First: 10, Next: 15, Mark: aside.Mark{Op: aside.Retry, Until: 12}}
	for name, c := range map[string]struct {
		head    *aside.Head
		command aside.Command
		want    judgement
		why     string
	}{
		"no list":                     {nil, aside.Command{First: "a", Last: "c", Count: 3}, passOver, "the key has no events set aside"},
		"fits":                        {&parked, aside.Command{First: "a", Last: "c", Count: 3}, carryOut, ""},
		"fits all of the list":        {&parked, aside.Command{First: "a", Last: "c", Count: 5}, carryOut, ""},
		"more than the list":          {&parked, aside.Command{First: "a", Last: "c", Count: 6}, passOver, "its list has 5 events, not 6"},
		"another last event":          {&parked, aside.Command{First: "a", Last: "d", Count: 3}, passOver, "event 3 of its list is c, not d"},
		"another first event, parked": {&parked, aside.Command{First: "b", Last: "c", Count: 2}, passOver, "its list begins with event a, not with b"},
		"another first event, while the list goes on": {&retrying, aside.Command{First: "b", Last: "c", Count: 2}, keepBack, ""},
		"fits while the list goes on":                 {&retrying, aside.Command{First: "a", Last: "c", Count: 3}, carryOut, ""},
		"fits while another command is at work":       {&marked, aside.Command{First: "a", Last: "c", Count: 3}, keepBack, ""},
		"another first event, while one is at work":   {&marked, aside.Command{First: "b", Last: "c", Count: 3}, keepBack, ""},
		"another last event, while the list goes on":  {&retrying, aside.Command{First: "a", Last: "x", Count: 3}, passOver, "event 3 of its list is c, not x"},
	} {
		t.Run(name, func(t *testing.T) {
			got, why := judge(c.head, c.command, "a", "c")
			require.Equal(t, c.want, got)
			require.Equal(t, c.why, why)
		})
	}
}

func TestMarkAList(t *testing.T) {
	parked := aside.Head{First: 10, Next: 15, Status: aside.Parked, Attempts: 5, Error: "e"}
	require.Equal(t, aside.Head{First: 10, Next: 15, Error: "e", Mark: aside.Mark{Op: aside.Retry, Until: 13}},
		marked(parked, aside.Command{Op: aside.Retry, Count: 3}))
	require.Equal(t, aside.Head{First: 10, Next: 15, Status: aside.Parked, Attempts: 5, Error: "e", Mark: aside.Mark{Op: aside.Drop, Until: 15}},
		marked(parked, aside.Command{Op: aside.Drop, Count: 5}))
}

func TestCommandsThatWaitAreBounded(t *testing.T) {
	h := aside.Head{Next: 1}
	for i := range aside.MaxCommands {
		before, ok := h, false
		h, ok = withCommand(h, aside.Command{Op: aside.Retry, Count: uint64(i)})
		require.True(t, ok)
		require.Len(t, before.Commands, i, "the head before is not changed")
	}
	_, ok := withCommand(h, aside.Command{Op: aside.Retry})
	require.False(t, ok)
	require.Equal(t, uint64(aside.MaxCommands-1), h.Commands[aside.MaxCommands-1].Count, "they stay in order")
}
