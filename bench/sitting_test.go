package main

import (
	"slices"
	"testing"
)

func TestPlan(t *testing.T) {
	everywhere, once := &peer{name: "a", matrix: true}, &peer{name: "b"}
	all, main := cells([]int{64, 16}, []int{1, 2})
	if main != (cell{16, 2}) {
		t.Fatalf("main is %v", main)
	}
	type place struct {
		name string
		cell cell
	}
	var got []place
	for _, r := range plan([]*peer{everywhere, once}, all, main) {
		got = append(got, place{r.peer.name, r.cell})
	}
	want := []place{{"a", main}, {"b", main}, {"a", cell{64, 1}}, {"a", cell{64, 2}}, {"a", cell{16, 1}}}
	if !slices.Equal(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
}

func TestShare(t *testing.T) {
	var all []int
	for w := range 3 {
		all = append(all, share(8, w, 3)...)
	}
	slices.Sort(all)
	if !slices.Equal(all, []int{0, 1, 2, 3, 4, 5, 6, 7}) {
		t.Fatalf("not each once: %v", all)
	}
}
