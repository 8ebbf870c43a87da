package compat

import (
	"testing"

	"example.com/lockstep/deployments/local/programs"
)

// testRouterAndWorker: the router of one version, the worker of the other, and the producers of both.
func testRouterAndWorker(t *testing.T, s *servers, first, second version) {
	r := newRig(t, s, "apart-"+first.name)
	r.router(first)
	r.worker(second)
	r.awaitWorkers(1)
	r.load(first, "--events=2000", "--keys=100")
	r.load(second, "--events=2000", "--keys=100")
}

// testProducer: services of one version, and the producer of the other, which verifies each of its events.
func testProducer(t *testing.T, s *servers, first, second version) {
	r := newRig(t, s, "producer-"+first.name)
	r.router(first)
	r.worker(first)
	r.awaitWorkers(1)
	r.load(second, "--events=2000", "--keys=100", "--producers=2")
}

// testSideBySide: routers and workers of both versions on one log and one store, as while a release is rolled out. The first
// version has made both. Processes of one version are killed and stopped, and the other takes over, while each producer sends.
func testSideBySide(t *testing.T, s *servers, first, second version) {
	r := newRig(t, s, "mixed-"+first.name)
	router, worker := r.router(first), r.worker(first)
	r.awaitWorkers(1)
	r.router(second)
	second1 := r.worker(second)
	r.awaitWorkers(2)

	load := r.startLoad(first, "--rate=1000", "--duration=4s", "--keys=200")
	load.Await(programs.Sending)
	r.kill(worker)
	r.kill(router)
	load.Passed()
	r.awaitWorkers(1)

	r.router(first)
	r.worker(first)
	r.awaitWorkers(2)
	load = r.startLoad(second, "--rate=1000", "--duration=4s", "--keys=200")
	load.Await(programs.Sending)
	r.stop(second1)
	load.Passed()
	r.awaitWorkers(1)
}
