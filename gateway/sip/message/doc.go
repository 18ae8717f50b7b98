// Package message is SIP on the wire (RFC 3261 §7, §25): it reads messages,
// header values and URIs, and writes messages. Reading makes one copy of what
// came and hands out pieces of it; header values are understood when somebody
// asks for them. It knows no transactions, dialogs or policies.
//
// It is strict where leniency would be guessing: a message that may mean two
// things is a [Fault], with the code that its sender should get. It is lenient
// where the grammar is: folded lines, blanks around separators, compact names.
package message
