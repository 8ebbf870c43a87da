package main

import "fmt"

// redisVariable tells the tests which Redis to use; pkg/testkit reads it.
const redisVariable = "TESTKIT_REDIS"

// redisChoice is the Redis of one run.
type redisChoice struct {
	choice string // redis-server or miniredis
	says   string // one line for the reader
}

// chooseRedis takes what the environment asks for: redis-server, miniredis, or auto,
// which is redis-server if it is on PATH. Under CI=true auto means redis-server.
func chooseRedis(getenv func(string) string, lookPath func(string) (string, error)) (redisChoice, error) {
	asked := getenv(redisVariable)
	switch asked {
	case "miniredis":
		return miniredis(redisVariable + "=miniredis"), nil
	case "", "auto", "redis-server":
	default:
		return redisChoice{}, fmt.Errorf("%s=%q: want redis-server, miniredis or auto", redisVariable, asked)
	}
	path, err := lookPath("redis-server")
	switch {
	case err == nil:
		return redisChoice{"redis-server", "Redis: redis-server (" + path + ")"}, nil
	case asked == "redis-server":
		return redisChoice{}, fmt.Errorf("%s=redis-server: %w", redisVariable, err)
	case getenv("CI") == "true":
		return redisChoice{}, fmt.Errorf("under CI=true the tests need redis-server: %w", err)
	}
	return miniredis("no redis-server on PATH"), nil
}

func miniredis(why string) redisChoice {
	return redisChoice{"miniredis", "Redis: miniredis, inside the tests (" + why + "); tests that need a real one do not run, see the end"}
}
