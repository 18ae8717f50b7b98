// Package smtp is the mail edge: it takes e-mail to our addresses and hands what
// people wrote to the core (RFC 5321). It owns sessions, limits, refusals and the
// reading of messages: which text is the answer and which is quotation, and which
// mail no person has written. It sends no mail, and knows no flow.
//
// The protocol's commands are github.com/emersion/go-smtp, the structure of messages
// is github.com/emersion/go-message. A message is read as it comes and never held
// as a whole.
package smtp
