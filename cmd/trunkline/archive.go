package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"trunkline/storage"
	"trunkline/storage/badger"
)

// backup writes everything that is durable at this moment to w.
func (d *daemon) backup(ctx context.Context, w io.Writer) error {
	_, err := storage.Backup(ctx, d.store, w, nil)
	return err
}

func newBackup(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "backup FILE",
		Short: "Write a backup of everything the running daemon knows",
		Long: `Write a backup of everything the running daemon knows, as of one moment, while
it goes on working. The file is checked before it gets its name: a file that is
there is whole. It is not encrypted, whatever the store is.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			body, err := o.open(cmd.Context(), "GET", "/backup", nil)
			if err != nil {
				return err
			}
			defer body.Close()
			return writeBackup(cmd.Context(), args[0], body, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
}

// writeBackup stores a backup stream as a file, which appears when it is whole.
func writeBackup(ctx context.Context, name string, body io.Reader, out, progress io.Writer) (err error) {
	if _, err := os.Stat(name); err == nil {
		return fmt.Errorf("%s exists already; choose another name or remove it", name)
	}
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	defer func() {
		f.Close()
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	bar := newProgress(progress, "backup")
	summary, err := storage.VerifyBackup(ctx, io.TeeReader(body, f), func(s storage.Summary) { bar.show(s.Stream, 0) })
	bar.end()
	if err != nil {
		return fmt.Errorf("the backup did not arrive whole and is discarded: %w", err)
	}
	if err = errors.Join(f.Chmod(0o600), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), name); err != nil {
		return err
	}
	fmt.Fprintf(out, "%s: %d entries, %s\n", name, summary.Entries, byteSize(summary.Stream))
	return nil
}

func newRestore(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "restore FILE",
		Short: "Fill an empty data folder from a backup",
		Long: `Fill the data folder of the configuration from a backup. The daemon must not
run, and the folder must be empty: a restore never overwrites anything. The whole
file is checked before the first entry is written.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			src, s, err := o.settings()
			if err != nil {
				return err
			}
			f, err := os.Open(args[0])
			if err != nil {
				return err
			}
			defer f.Close()
			info, err := f.Stat()
			if err != nil {
				return err
			}
			store, err := badger.Open(s.storeOptions(src, slog.New(slog.DiscardHandler)))
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, store.Close()) }()
			bar := newProgress(cmd.ErrOrStderr(), "restore")
			summary, err := storage.Restore(cmd.Context(), f, store, func(p storage.Summary) { bar.show(p.Stream, uint64(info.Size())) })
			bar.end()
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: %d entries restored to %s\n", args[0], summary.Entries, s.data(src))
			return nil
		},
	}
}
