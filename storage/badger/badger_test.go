package badger_test

import (
	"log/slog"
	"testing"

	"trunkline/storage"
	"trunkline/storage/badger"
	"trunkline/storage/conformance"
)

func open(t testing.TB, opts badger.Options) *badger.Store {
	t.Helper()
	opts.Log = slog.New(slog.DiscardHandler)
	store, err := badger.Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func TestConformance(t *testing.T) {
	for name, key := range map[string][]byte{"plain": nil, "encrypted": []byte("0123456789abcdef")} {
		t.Run(name, func(t *testing.T) {
			dirs := map[storage.Store]string{}
			openIn := func(t testing.TB, dir string) storage.Store {
				store := open(t, badger.Options{Dir: dir, EncryptionKey: key})
				dirs[store] = dir
				return store
			}
			conformance.Run(t, conformance.Suite{
				Open: func(t testing.TB) storage.Store { return openIn(t, t.TempDir()) },
				Reopen: func(t testing.TB, store storage.Store) storage.Store {
					if err := store.Close(); err != nil {
						t.Fatal(err)
					}
					return openIn(t, dirs[store])
				},
			})
		})
	}
}
