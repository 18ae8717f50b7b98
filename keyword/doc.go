// Package keyword decides who consumes a text message: a reserved word, a wait
// of the person, an entry point of a flow, or nobody. It owns how text and
// numbers are normalised (rules K1–K8), how keywords match, and the order among
// those that want the same message (rules R1–R3, R6).
//
// It knows nothing of persons, flows and storage: entries and waits are handed
// in as plain data and come back as an index. It does no I/O and reads no
// clock. A Table is immutable; its user builds another and swaps it.
package keyword
