//go:build !linux

package rtp

// favour does nothing here: only Linux has priorities of threads.
func favour() {}
