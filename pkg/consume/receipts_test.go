package consume

import (
	"log/slog"
	"testing"
	"testing/synctest"

	"example.com/lockstep/pkg/frame"
	"github.com/stretchr/testify/require"
)

// While receipts cannot be sent, those that wait are bounded: commits wait, one's worth of receipts above the bound.
func TestCommitsWaitForTheirReceipts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const of = 1000 // a commit
		stalled := make(chan struct{})
		sent := make(map[uint64]int)
		r := startReceipts(func(_ string, data []byte) error {
			<-stalled
			var receipt frame.Receipt
			require.NoError(t, receipt.Decode(data))
			require.LessOrEqual(t, len(receipt.Seqs), receiptsAtOnce)
			for _, seq := range receipt.Seqs {
				sent[seq]++
			}
			return nil
		}, "app", slog.New(slog.DiscardHandler))
		to := receiptTo{frame.PublisherID{1}, 1}
		next := uint64(0)
		commit := func() {
			seqs := make([]uint64, of)
			for i := range seqs {
				next++
				seqs[i] = next
			}
			r.add(map[receiptTo][]uint64{to: seqs})
		}
		commit()
		synctest.Wait() // the first ones are being sent

		const commits = 2 * maxReceipts / of
		finished := make(chan struct{})
		go func() {
			defer close(finished)
			for range commits {
				commit()
			}
		}()
		synctest.Wait()
		select {
		case <-finished:
			t.Fatal("commits do not wait")
		default:
		}
		r.mu.Lock()
		require.Greater(t, r.n, maxReceipts)
		require.LessOrEqual(t, r.n, maxReceipts+of)
		r.mu.Unlock()

		close(stalled)
		<-finished
		r.stop()
		require.Len(t, sent, (1+commits)*of)
		for seq, n := range sent {
			require.Equal(t, 1, n, "receipts of seq %d", seq)
		}
	})
}
