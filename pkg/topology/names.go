package topology

import (
	"fmt"
	"strconv"
	"strings"
)

// StreamName is the stream of one lane of an epoch.
func StreamName(app string, epoch uint64, lane int) string {
	return fmt.Sprintf("%s_%d_%d", strings.ToUpper(app), epoch, lane)
}

// WorkSubject is the subject of one shard in an epoch.
func WorkSubject(app string, epoch uint64, lane, shard int) string {
	return app + ".work." + strconv.FormatUint(epoch, 10) + "." + strconv.Itoa(lane) + "." + strconv.Itoa(shard)
}

// FrameSubject is where publishers send frames.
func FrameSubject(app string) string { return app + ".in.frame" }

// RouterSubject is where publishers send frames to one router, by its id.
func RouterSubject(app, router string) string { return FrameSubject(app) + "." + router }

// EventSubject is the prefix of the subjects where other clients send plain events: <app>.in.event.<key>.
func EventSubject(app string) string { return app + ".in.event" }

// CommandSubject is where operators send commands about parked keys.
func CommandSubject(app string) string { return app + ".in.command" }

// ControlSubject is one of the subjects that services use among themselves.
func ControlSubject(app, what string) string { return app + ".ctl." + what }

// NoticeSubject is where workers publish notices, each at most once. The only kind is "parked".
func NoticeSubject(app, what string) string { return app + ".notice." + what }

// ReceiptSubject is where a publisher, named by its id in hex, gets receipts for its events.
func ReceiptSubject(app, publisher string) string { return app + ".ctl.receipt." + publisher }

// Bucket is the name of one of the app's KV buckets: "topology", "claims" or "members".
func Bucket(app, what string) string { return app + "_" + what }
