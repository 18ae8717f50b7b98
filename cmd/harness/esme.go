package main

import (
	"context"
	"sync"
	"time"

	"trunkline/gateway/smpp/pdu"
)

// esmes keeps sessions bound to a gateway, over which the load's keywords go as
// submit_sm. A session that ends is bound again until ctx ends.
func esmes(ctx context.Context, ld *load, address string, count, window int) {
	var all sync.WaitGroup
	for range count {
		all.Go(func() {
			for ctx.Err() == nil {
				if l, err := bind(address, esmeID, esmePassword); err == nil {
					serveESME(ctx, ld, l, window)
				}
				select {
				case <-time.After(20 * time.Millisecond):
				case <-ctx.Done():
				}
			}
		})
	}
	all.Wait()
}

// serveESME uses one session until it ends.
func serveESME(ctx context.Context, ld *load, l *link, window int) {
	defer context.AfterFunc(ctx, l.close)()
	defer l.close()
	ln := newLine(l, pdu.IDSubmitSM, window)
	ld.attach(ln)
	defer ld.detach(ln)
	for {
		_, h, err := l.read()
		if err != nil {
			return
		}
		switch h.ID {
		case pdu.IDSubmitSMResp:
			ld.answered(ln, h.Sequence, h.Status)
		case pdu.IDEnquireLink, pdu.IDUnbind:
			_ = l.send(h.Response(0), nil)
		case pdu.IDGenericNack:
			ld.book.violate("the gateway answers a request with generic_nack %s", h.Status)
		case pdu.IDDeliverSM:
			ld.book.violate("the gateway delivers a message to a session that takes none")
			_ = l.send(h.Response(0), &pdu.SMResp{})
		}
		if l.drained() {
			ld.pump()
		}
	}
}
