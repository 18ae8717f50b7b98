// Package flowengine is the flow engine of Trunkline: definitions and their
// validation, people, and the step function that moves a person through a flow.
//
// The engine is pure. Set.Step takes a person, what the person's flows remember
// and one Cause, and says what changes and what has to be done outside; it does
// no I/O, reads no clock and draws no random number. Everything that happens to
// a person is a Cause, everything the outside sees is part of a Result; both are
// plain data. Package flowengine/runtime hosts the engine: it feeds causes,
// commits results and carries out effects.
package flowengine
