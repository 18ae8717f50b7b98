//go:build unix

package badger

import (
	"errors"
	"os"
	"runtime/debug"
	"syscall"

	"trunkline/storage"
)

// tryLock takes an exclusive lock without waiting for it.
func tryLock(file *os.File) (locked bool, err error) {
	for {
		err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}

// freeBytes returns the room that an ordinary user has on the disk of dir.
func freeBytes(dir string) (uint64, error) {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(dir, &stat); err != nil {
		return 0, &os.PathError{Op: "statfs", Path: dir, Err: err}
	}
	return stat.Bavail * uint64(stat.Bsize), nil
}

// systemErrors are the errors of the system that the contract has a word for.
var systemErrors = []translation{
	{syscall.ENOSPC, storage.ErrFull},
	{syscall.EDQUOT, storage.ErrFull},
	{syscall.EROFS, storage.ErrReadOnly},
	{syscall.EACCES, storage.ErrReadOnly},
	{syscall.EPERM, storage.ErrReadOnly},
}

// unreadable is what the system says of a file that its disk can't read.
const unreadable = syscall.EIO

// mapped calls fn with the contents of a file, which fn must not keep. What the
// disk can't read while fn looks at it comes back as an error.
func mapped(path string, fn func(data []byte) error) (err error) {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if info.Size() == 0 {
		return fn(nil)
	}
	data, err := syscall.Mmap(int(file.Fd()), 0, int(info.Size()), syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return &os.PathError{Op: "mmap", Path: path, Err: err}
	}
	defer func() { _ = syscall.Munmap(data) }()
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		switch p := recover().(type) {
		case nil:
		case interface{ Addr() uintptr }: // what the runtime makes of SIGBUS
			err = &os.PathError{Op: "read", Path: path, Err: unreadable}
		default:
			panic(p)
		}
	}()
	return fn(data)
}
