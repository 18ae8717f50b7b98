// Package runtime hosts the flow engine: it feeds causes to the pure step
// function, commits what follows as durable batches, fires timers and hands
// messages to the channels' senders.
//
// # Ownership
//
// Persons are hashed to shards, shards belong to executors, and an executor is
// one goroutine: the only reader and writer of its shards' keys. So a step needs
// no lock and meets no conflict, and its state in memory is always the newest.
//
// # Durability
//
// An executor computes the steps that wait for it into one batch while the
// previous batch is being synced. Whoever brought a cause is answered, and what
// a step sends goes out, only after the batch that holds it is durable. When a
// commit fails, the executor releases nothing and stops for good: its state in
// memory is then ahead of the store and must not be used.
//
// The package knows the storage contract and the engine. It knows no protocol:
// edges implement [Sender] and call the methods of [Runtime].
package runtime
