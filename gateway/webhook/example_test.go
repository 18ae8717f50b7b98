package webhook_test

import (
	"fmt"
	"time"

	"trunkline/gateway/webhook"
)

// What a receiver of webhooks does.
func ExampleVerify() {
	secret, err := webhook.ParseSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		fmt.Println(err)
		return
	}
	body := []byte(`{"type":"run.finished","timestamp":"2022-11-03T20:26:10Z","data":{}}`)
	sent := time.Unix(1667507170, 0)
	header := webhook.Sign("evt_1", sent, body, secret) // of the request that came in

	fmt.Println(webhook.Verify(header, body, sent.Add(time.Second), webhook.Tolerance, secret))
	fmt.Println(webhook.Verify(header, append(body, ' '), sent.Add(time.Second), webhook.Tolerance, secret))
	// Output:
	// <nil>
	// webhook: no signature fits
}
