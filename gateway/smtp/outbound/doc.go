// Package outbound is the sending side of the mail edge: it carries e-mail of the core to
// the servers of its recipients (RFC 5321). It owns the queues per destination, routes,
// connections and their reuse, TLS policies, signatures and what an answer of a server
// means. It holds few messages: what finds no place goes back to the core's outbox with a
// time. It knows no flow, and what a message says is made by a [Composer].
package outbound
