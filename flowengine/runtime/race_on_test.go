//go:build race

package runtime

// underRace says that the race detector slows the tests down.
const underRace = true
