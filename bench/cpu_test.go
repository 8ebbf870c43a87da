package main

import "testing"

func TestCPUTicks(t *testing.T) {
	ticks, err := cpuTicks("12 (a b) c) S 1 12 12 0 -1 4194560 3117 0 1 0 250 31 0 0 20 0 9 0 8841 1276872 9573")
	if err != nil || ticks != 281 {
		t.Fatalf("%d, %v; want 281", ticks, err)
	}
	for _, bad := range []string{"", "12 (a) S 1 2", "12 (a) S 1 12 12 0 -1 4194560 3117 0 1 0 x 31 0"} {
		if _, err := cpuTicks(bad); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}

func TestSumLeavesTheSenderOut(t *testing.T) {
	c := &cost{perEvent: map[string]float64{"nats-server": 20, "workers": 5, senderName: 9}}
	if c.sum() != 25 {
		t.Fatal(c.sum())
	}
}
