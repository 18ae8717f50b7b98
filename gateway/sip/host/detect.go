package host

import (
	"trunkline/gateway/rtp/greeting"
	"trunkline/ivr"
)

// verdicts in the machine's words.
var verdicts = map[greeting.Verdict]ivr.Event{
	greeting.Human:   ivr.Detected{What: ivr.PortHuman},
	greeting.Machine: ivr.Detected{What: ivr.PortMachine},
	greeting.Fax:     ivr.Detected{What: ivr.PortFax},
	greeting.Ended:   ivr.GreetingEnded{},
}

// detect listens who has answered.
func (c *call) detect() {
	lg := c.legs[ivr.Caller]
	if lg == nil || lg.session == nil {
		return
	}
	c.detection++
	serial, d := c.detection, new(greeting.Detector)
	lg.session.Listen(func(heard []int16) {
		if e, known := verdicts[d.Frame(heard)]; known {
			c.do(func() {
				if c.detection == serial {
					c.handle(e)
				}
			})
		}
	})
}

// stopDetection ends listening.
func (c *call) stopDetection() {
	c.detection++
	if lg := c.legs[ivr.Caller]; lg != nil && lg.session != nil {
		lg.session.Listen(nil)
	}
}
