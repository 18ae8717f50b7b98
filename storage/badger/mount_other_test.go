//go:build !linux

package badger_test

import "testing"

func bindReadOnly(t *testing.T, _ string) {
	t.Helper()
	t.Skip("NOT TESTED: permissions do not bind root, run it as somebody else")
}
