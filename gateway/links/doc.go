// Package links answers the short links of messages (rule U1): it redirects to
// what the message linked to, and tells the core who followed a link and which
// requests were only a program's look.
//
// It owns the listener, its bounds, and the pages for links that are unknown or
// have expired. It redirects to nothing but what the core has stored with a
// message, so it is no open redirect, and it knows nothing of persons or flows.
//
// A click is durable before its redirect is sent, if the core commits it within
// a quarter of a second. A person never waits longer, and gets the redirect also
// when the store takes nothing: what is then still queued is counted later, and
// what was refused is lost and counted in trunkline_links_clicks_lost_total.
package links
