package badger

import (
	"errors"
	"os"
	"syscall"
)

// syncData waits until what was written to a file is on the disk, and of the
// file's metadata what reading it back takes.
func syncData(file *os.File) error {
	for {
		err := syscall.Fdatasync(int(file.Fd()))
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
