package strict

import (
	"fmt"
	"io"
	"os"
)

// ReadFile reads a configuration file. A pipe or a device in its place, which
// may never end, is refused before it is opened, and so is a file that is larger
// than Parse takes before it is in memory.
func ReadFile(name string) ([]byte, error) {
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return os.ReadFile(name) // its error names what was tried: open
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a regular file (%s)", name, info.Mode().Type())
	case info.Size() > maxBytes:
		return nil, fmt.Errorf("%s has %d bytes; the most is %d (split it)", name, info.Size(), maxBytes)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxBytes+1)) // one more, should it have grown: Parse says so
}
