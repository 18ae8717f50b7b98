//go:build race

package runtime

// raceDetector says that the race detector slows the tests down.
const raceDetector = true
