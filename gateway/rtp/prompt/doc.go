// Package prompt finds the sound that callers hear: files of any common rate
// and coding, sounds behind URLs, and text that an engine speaks. Everything
// becomes samples at 8 kHz once and is then shared by all calls.
//
// It knows files, a child process and HTTP, and refuses to know calls: whoever
// plays a prompt asks [Library] for it off the media path, since a first time
// may take a second. What can't be had is an error, never silence.
package prompt
