package httpapi

import (
	"encoding/json"
	"time"

	"trunkline/flowengine"
	"trunkline/flowengine/runtime"
)

// Broadcast is a broadcast with its counters.
type Broadcast struct {
	ID         string          `json:"id" doc:"Id of the broadcast."`
	Name       string          `json:"name" doc:"Name for people."`
	State      string          `json:"state" doc:"draft, awaiting_approval, scheduled, running, paused, finished or cancelled."`
	Creator    string          `json:"creator" doc:"Who made it."`
	Approval   bool            `json:"approval_required" doc:"Somebody other than its creator has to approve it."`
	Approver   string          `json:"approver,omitempty" doc:"Who approved it."`
	Created    time.Time       `json:"created" doc:"When it was made."`
	StartAt    *time.Time      `json:"start_at,omitempty" doc:"When it begins, unless somebody starts it earlier."`
	Launched   *time.Time      `json:"launched,omitempty" doc:"When it began."`
	Ended      *time.Time      `json:"ended,omitempty" doc:"When it was over, or cancelled."`
	Named      uint64          `json:"named" doc:"Recipients who were named one by one."`
	Entering   bool            `json:"entering" doc:"Not all recipients have been gone through."`
	Entered    uint64          `json:"entered" doc:"Recipients so far."`
	Inside     uint64          `json:"inside" doc:"Of them, those whose message is neither taken by a carrier nor given up."`
	Recipients uint64          `json:"recipients" doc:"Persons to whom a message was submitted."`
	Sent       uint64          `json:"messages_sent" doc:"Parts of messages that carriers accepted."`
	Delivered  uint64          `json:"delivered" doc:"Messages that were delivered."`
	Failed     uint64          `json:"failed" doc:"Messages that were not sent or not delivered."`
	Cost       Cost            `json:"cost" doc:"What the messages cost."`
	Definition json.RawMessage `json:"definition,omitempty" doc:"What was asked for."`
}

// ViewBroadcast makes the plain form of a broadcast; whole with its definition.
func ViewBroadcast(s *runtime.BroadcastStatus, whole bool) *Broadcast {
	c := s.Counts.ByElement()[flowengine.BroadcastElement]
	v := &Broadcast{
		ID: s.ID, Name: s.Name, State: s.State.String(), Creator: s.Creator, Approval: s.Approval, Approver: s.Approver, Created: s.Created,
		StartAt: moment(s.StartAt), Launched: moment(s.Launched), Ended: moment(s.Ended), Named: s.Named, Entering: s.Entering,
		Entered: s.Counts.Entered, Inside: s.Inside, Recipients: s.Counts.Recipients, Sent: c.Sent, Delivered: c.Delivered, Failed: c.Failed,
		Cost: ViewCost(s.Counts.Cost(nil)),
	}
	if whole {
		v.Definition = s.Definition
	}
	return v
}

// Estimate is what a broadcast would do if it began now.
type Estimate struct {
	Recipients uint64 `json:"recipients" doc:"Who would get into it."`
	Unreached  uint64 `json:"unreached" doc:"Of them, those to whom nothing would be sent: without an address, who want no messages, or whose text can't be made."`
	Parts      uint64 `json:"parts" doc:"Parts of the messages to the others."`
	Cost       Cost   `json:"cost" doc:"What those would cost."`
}

// ViewEstimate makes the plain form of an estimate.
func ViewEstimate(e runtime.Estimate) *Estimate {
	return &Estimate{e.Recipients, e.Unreached, e.Parts, ViewCost(e.Cost)}
}

// BroadcastDay is what happened in a broadcast on one day of UTC.
type BroadcastDay struct {
	Day        string `json:"day" doc:"The day."`
	Entered    uint64 `json:"entered" doc:"Recipients."`
	Recipients uint64 `json:"recipients" doc:"Persons to whom a message was submitted for the first time."`
	Sent       uint64 `json:"messages_sent" doc:"Parts of messages that carriers accepted."`
	Delivered  uint64 `json:"delivered" doc:"Messages that were delivered."`
	Failed     uint64 `json:"failed" doc:"Messages that were not sent or not delivered."`
	Cost       Cost   `json:"cost" doc:"What the messages cost."`
}

func viewBroadcastDays(days []runtime.DayTally) []BroadcastDay {
	views := []BroadcastDay{}
	for _, d := range days {
		c := d.Counts.ByElement()[flowengine.BroadcastElement]
		views = append(views, BroadcastDay{
			d.Day.Format(time.DateOnly), d.Counts.Entered, d.Counts.Recipients, c.Sent, c.Delivered, c.Failed, ViewCost(d.Counts.Cost(nil)),
		})
	}
	return views
}
