//go:build race

package runtime

// underRace makes the binary under test have the race detector whenever its
// tests do.
const underRace = true
