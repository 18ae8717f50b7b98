package badger

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	engine "github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/y"

	"trunkline/storage"
)

// translate wraps an error of the engine or the system with the contract's error
// for it, if there is one.
func translate(err error) error {
	if err == nil {
		return nil
	}
	for _, known := range translations {
		if says(err, known.theirs) {
			return fmt.Errorf("%w: %w", known.ours, err)
		}
	}
	return err
}

var translations = append(systemErrors,
	translation{engine.ErrDBClosed, storage.ErrClosed},
	translation{engine.ErrBlockedWrites, storage.ErrClosed},
	translation{engine.ErrEmptyKey, storage.ErrInvalidKey},
	translation{engine.ErrInvalidKey, storage.ErrInvalidKey},
	translation{engine.ErrTxnTooBig, storage.ErrTooLarge},
	translation{engine.ErrEncryptionKeyMismatch, storage.ErrKey},
	translation{engine.ErrInvalidDataKeyID, storage.ErrCorrupt},
	translation{y.ErrChecksumMismatch, storage.ErrCorrupt},
)

type translation struct{ theirs, ours error }

// says compares by text as well, since the engine wraps most errors by putting
// their text into a new one.
func says(err, target error) bool {
	return errors.Is(err, target) || strings.Contains(err.Error(), target.Error())
}

// missing and damaged say what is wrong with a file and what to do.
func missing(path string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is missing: put it back or restore a backup into a new folder: %w", path, storage.ErrCorrupt)
	}
	return translate(err)
}

func damaged(path, what string, err error) error {
	var system *fs.PathError
	if errors.As(err, &system) && !errors.Is(err, unreadable) {
		return fmt.Errorf("looking at %s: %w", path, translate(err)) // not the file's fault
	}
	return fmt.Errorf("%s, a %s of the store: %w: nothing was changed; copy the folder away and restore a backup into a new one: %w",
		path, what, err, storage.ErrCorrupt)
}
