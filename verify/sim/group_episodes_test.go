package sim

import (
	"time"
)

// episode breaks something, or several things at once, and checks that members recover in time.
func (c *council) episode() {
	if c.Rand.IntN(3) == 0 {
		c.steady()
	}
	m := pick(c.World, c.present())
	others := func() []*member {
		var out []*member
		for _, o := range c.well() {
			if o != m {
				out = append(out, o)
			}
		}
		return out
	}
	switch c.Rand.IntN(9) {
	case 0:
		if len(c.present()) < 2 {
			c.start()
			c.settle(c.present(), calm, "a member has started")
			return
		}
		within := c.within(moved)
		m.kill()
		c.settle(others(), within, m.Name+" has died")
		return
	case 1:
		if len(c.present()) < 2 {
			return
		}
		m.Pause()
		c.settle(others(), runsOut, m.Name+" has been paused")
		c.wait(5 * time.Second)
		m.Resume()
	case 2:
		m.Pause()
		c.wait(8 * time.Second)
		m.Resume()
	case 3:
		m.Stall()
		c.wait(16 * time.Second)
		m.Flow()
	case 4:
		m.Cut()
	case 5:
		c.Broker.Stop()
		c.wait(3 * time.Second)
		c.Broker.Start()
	case 6:
		s := pick(c.World, c.locks)
		s.Down()
		c.wait(15 * time.Second)
		s.Serve()
	case 7:
		if len(c.present()) < 2 {
			return
		}
		within := c.within(handOver)
		c.Note("left")
		c.Say("%s leaves", m.Name)
		m.stop(background)
		c.settle(others(), within, m.Name+" leaves")
		return
	default:
		c.muddle()
	}
	c.settle(c.present(), calm, "all is well again")
}

// within returns how long members may take to find their places: d if none of them had a fault lately. A member that had one
// may have been taken for one that hangs, and a member that has just connected judges no other yet.
func (c *council) within(d time.Duration) time.Duration {
	for _, m := range c.present() {
		if m.Untroubled() < excused || m.Up() < steady {
			return calm
		}
	}
	return d
}

// muddle breaks several things, one soon after another.
func (c *council) muddle() {
	for range 2 + c.Rand.IntN(3) {
		gap := []time.Duration{time.Millisecond, 20 * time.Millisecond, 500 * time.Millisecond, 5 * time.Second}
		c.wait(pick(c.World, gap))
		m := pick(c.World, c.present())
		switch c.Rand.IntN(8) {
		case 0:
			if len(c.well()) > 2 && !m.held() {
				m.kill()
			}
		case 1:
			if !m.held() {
				m.Pause()
			}
		case 2:
			if !m.held() {
				m.Stall()
			}
		case 3:
			m.Cut()
		case 4:
			c.Broker.Stop()
			c.wait(pick(c.World, gap))
			c.Broker.Start()
		case 5:
			s := pick(c.World, c.locks)
			s.Down()
			c.wait(pick(c.World, gap))
			s.Serve()
		case 6:
			if len(c.present()) < 4 {
				c.start()
			}
		default:
			m.release()
		}
	}
	for _, m := range c.present() {
		m.release()
	}
}
