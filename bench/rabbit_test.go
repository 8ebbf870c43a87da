package main

import "testing"

func TestAcks(t *testing.T) {
	var a acks
	for _, step := range []struct {
		done []uint64
		want uint64
	}{
		{[]uint64{2, 3}, 0},
		{[]uint64{1}, 3},
		{nil, 0},
		{[]uint64{6, 4}, 4},
		{[]uint64{5, 7}, 7},
	} {
		for _, tag := range step.done {
			a.add(tag)
		}
		if got := a.next(); got != step.want {
			t.Fatalf("after %v: %d, want %d", step.done, got, step.want)
		}
	}
}
