package redisnodes_test

import (
	"fmt"

	"example.com/lockstep/pkg/testkit/redisnodes"
)

// The caller starts redis-server with a node's arguments, and then FormCluster makes the nodes one cluster.
func ExampleNode_ClusterArgs() {
	node := redisnodes.Node{Host: "127.0.0.1", Port: 7000, Bus: 17000}
	args := node.ClusterArgs()
	fmt.Println(node.Addr(), args[:4], args[len(args)-6:len(args)-2])
	// Output: 127.0.0.1:7000 [--bind 127.0.0.1 --port 7000] [--cluster-enabled yes --cluster-port 17000]
}
