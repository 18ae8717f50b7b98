package badger

import engine "github.com/dgraph-io/badger/v4"

// OpenTuned is Open with other tuning of the engine: small tables, so that a test
// need not write much before they are merged.
func OpenTuned(opts Options, change func(engine.Options) engine.Options) (*Store, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	return open(opts, change(tuned(opts)))
}

// SetFree replaces the question how much room is left on the disk.
func (s *Store) SetFree(free func(dir string) (uint64, error)) { s.space.free = free }

// Engine returns what is behind the store.
func (s *Store) Engine() *engine.DB { return s.db }

// Migrate runs steps beyond those that the program has.
func (s *Store) Migrate(from int, steps ...func() error) error {
	all := make([]migration, from, from+len(steps))
	for _, step := range steps {
		all = append(all, func(*Store) error { return step() })
	}
	return s.migrate(from, all)
}

// WriteFormat writes the folder's format as Open does.
func WriteFormat(dir string, format int) error { return writeFormat(dir, format) }

// LastFormat is the newest format that this version knows.
var LastFormat = len(migrations)

// Mapped calls fn with the contents of a file.
func Mapped(path string, fn func(data []byte) error) error { return mapped(path, fn) }
