package cli

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFirstInterruptEndsSendingSecondEndsAll(t *testing.T) {
	ctx, sending, release := interrupts()
	defer release()
	require.NoError(t, syscall.Kill(syscall.Getpid(), syscall.SIGTERM))
	<-sending.Done()
	require.NoError(t, ctx.Err())
	require.NoError(t, syscall.Kill(syscall.Getpid(), syscall.SIGTERM))
	<-ctx.Done()
}
