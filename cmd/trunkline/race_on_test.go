//go:build race

package main

// underRace makes the binary under test have the race detector whenever its
// tests do.
const underRace = true
