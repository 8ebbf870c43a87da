package redisconn_test

import (
	"context"
	"fmt"

	"example.com/lockstep/pkg/redisconn"
	"example.com/lockstep/pkg/testkit/example"
)

// The address says what the Redis is: one server, a master under Sentinel, or a cluster.
func ExampleCheck() {
	for _, server := range []string{
		"127.0.0.1:6379",
		"redis://10.0.0.1:7000?addr=10.0.0.2:7000&addr=10.0.0.3:7000",
		"redis://10.0.0.1:26379?master_name=shop&addr=10.0.0.2:26379",
		"http://10.0.0.1",
	} {
		fmt.Println(server, redisconn.Check(server) == nil)
	}
	// Output:
	// 127.0.0.1:6379 true
	// redis://10.0.0.1:7000?addr=10.0.0.2:7000&addr=10.0.0.3:7000 true
	// redis://10.0.0.1:26379?master_name=shop&addr=10.0.0.2:26379 true
	// http://10.0.0.1 false
}

// Connect returns once the server has answered, or with an error that names the flag.
func ExampleConnect() {
	servers := example.Start()
	defer servers.Stop()
	client, err := redisconn.Connect("redis", servers.Redis.Options().Addr, example.Discard)
	example.Check(err)
	defer redisconn.Close(client)
	fmt.Println(redisconn.Ready(client)(context.Background()))
	// Output: <nil>
}
