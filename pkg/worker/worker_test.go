package worker

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"

	"example.com/lockstep/pkg/consume"
	"example.com/lockstep/pkg/service"
)

// limits are the flags of a service in this test.
type limits struct {
	Most int `default:"5" help:"The most that an event may add."`
}

func (l *limits) Validate() error {
	if l.Most < 1 {
		return errors.New("--most must be above 0")
	}
	return nil
}

func (l *limits) Handler() consume.Handler {
	return consume.Typed(func(_ context.Context, total *int, _ consume.Event) error {
		*total += l.Most
		return nil
	})
}

func parse(t *testing.T, args ...string) (*commands, error) {
	t.Helper()
	cli := &commands{Run: runCommand{Rules: new(limits)}}
	_, err := service.Parse("shop", "", cli, args, kong.Vars{"app": "shop"})
	return cli, err
}

func TestServicesOwnFlagsAreAmongTheWorkers(t *testing.T) {
	cli, err := parse(t, "--most=7", "--attempts=2")
	require.NoError(t, err)
	require.Equal(t, &limits{Most: 7}, cli.Run.Rules)
	require.Equal(t, 2, cli.Run.Handling.Attempts)
	require.Equal(t, "shop", cli.Run.App, "the program's own app is the default")

	var log bytes.Buffer
	service.LogConfig(slog.New(slog.NewTextHandler(&log, nil)), &cli.Run)
	require.Contains(t, log.String(), " most=7 ")
	require.Contains(t, log.String(), " attempts=2 ")

	cli, err = parse(t, "run", "--app=bank")
	require.NoError(t, err)
	require.Equal(t, &limits{Most: 5}, cli.Run.Rules)
	require.Equal(t, "bank", cli.Run.App)
}

func TestServicesOwnFlagsAreChecked(t *testing.T) {
	exit := (*service.ExitError)(nil)
	_, err := parse(t, "--most=0")
	require.ErrorAs(t, err, &exit)
	require.Equal(t, service.ExitUsage, exit.Code)
	require.ErrorContains(t, err, "--most must be above 0")
	_, err = parse(t, "accept-gap", "1", "--most=7")
	require.ErrorContains(t, err, "unknown flag --most")
}
