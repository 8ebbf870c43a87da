package main

import (
	"go/parser"
	"go/token"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNamesAreDrawnOfEveryLength(t *testing.T) {
	apps := make(map[int]bool)
	for seed := range uint64(2000) {
		n := drawn(rand.New(rand.NewPCG(seed, 0)))
		require.NoError(t, n.Check())
		apps[len(n.App)] = true
	}
	require.Len(t, apps, 31)
	for _, n := range fullNames {
		require.NoError(t, n.Check())
	}
}

func TestNamesOfTheCommandLine(t *testing.T) {
	names, err := chosen([]string{"github.com/acme/orders=shop"}, true, 0)
	require.NoError(t, err)
	require.Equal(t, "shop", names[0].App)
	_, err = chosen([]string{"github.com/acme/orders"}, false, 0)
	require.ErrorContains(t, err, "want MODULE=APP")
	names, err = chosen(nil, true, 0)
	require.NoError(t, err)
	require.Len(t, names, 5)
}

func TestTestsWithNamesAreOneRunForEachModuleOutsideTheWorkspace(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "x_test.go", "package x\nfunc TestA() {}\nfunc TestLongB() {}\nfunc TestTutorial() {}\nfunc TestMain() {}\nfunc (x) TestC() {}\nfunc helper() {}\n", 0)
	require.NoError(t, err)
	require.Equal(t, []string{"TestA"}, testsIn(file))

	f := fork{modules: []module{{"pkg", false}, {"verify", true}, {"verify/sim", true}}}
	var all []tests
	for _, dir := range []string{"pkg/x", "pkg/x", "pkg", "verify/chaos", "verify/sim"} {
		all = f.add(all, dir, []string{"TestA"})
	}
	require.Equal(t, []tests{
		{".", []string{"./pkg/x", "./pkg"}, []string{"TestA", "TestA", "TestA"}},
		{"verify", []string{"./chaos"}, []string{"TestA"}},
		{"verify/sim", []string{"./"}, []string{"TestA"}},
	}, all)
}
