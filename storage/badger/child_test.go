package badger_test

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"trunkline/storage"
	"trunkline/storage/badger"
)

// The test binary runs itself as a second process, in one of these roles.
const (
	roleVariable = "TRUNKLINE_STORE_TEST_ROLE"
	dirVariable  = "TRUNKLINE_STORE_TEST_DIR"
	roleHold     = "hold"  // opens the store and keeps it
	roleWrite    = "write" // opens the store and applies batches until it is killed
)

func TestMain(m *testing.M) {
	switch os.Getenv(roleVariable) {
	case roleHold:
		hold(os.Getenv(dirVariable))
	case roleWrite:
		writeForever(os.Getenv(dirVariable))
	default:
		os.Exit(m.Run())
	}
}

// child is a running second process. What it prints arrives line by line.
type child struct {
	cmd   *exec.Cmd
	lines *bufio.Scanner
}

func startChild(t *testing.T, role, dir string) *child {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleVariable+"="+role, dirVariable+"="+dir)
	cmd.Stderr = os.Stderr
	// Its end of this pipe closes when this process ends, however that happens.
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := &child{cmd: cmd, lines: bufio.NewScanner(out)}
	t.Cleanup(func() { _ = c.cmd.Process.Kill(); _ = c.cmd.Wait() })
	return c
}

// kill ends the child with SIGKILL and passes on what it had still printed.
func (c *child) kill(t *testing.T, line func(string)) {
	t.Helper()
	if err := c.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for c.lines.Scan() {
		line(c.lines.Text())
	}
	_ = c.cmd.Wait()
}

// orphaned ends the process when the test that started it is gone.
func orphaned() {
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(1)
}

func mustOpen(dir string) *badger.Store {
	store, err := badger.Open(quiet(dir))
	if err != nil {
		fmt.Fprintln(os.Stderr, "child:", err)
		os.Exit(1)
	}
	return store
}

func hold(dir string) {
	_ = mustOpen(dir)
	fmt.Println("open")
	orphaned()
}

// Each writer of the crash test owns the keys that begin with its number. Its
// batch n sets all its counters to n and adds row n.
const (
	crashWriters  = 4
	crashCounters = 5
)

func counterKey(writer, i int) []byte { return fmt.Appendf(nil, "%d/counter/%d", writer, i) }
func rowKey(writer, n int) []byte     { return fmt.Appendf(nil, "%d/row/%09d", writer, n) }

func rowValue(writer, n int) []byte {
	r := rand.New(rand.NewPCG(uint64(writer), uint64(n)))
	return []byte(strings.Repeat(fmt.Sprintf("%d.%d ", writer, n), 1+r.IntN(3000)))
}

// writeForever goes on where the store ends and prints "writer n" after each
// acknowledged batch.
func writeForever(dir string) {
	go orphaned()
	store := mustOpen(dir)
	fmt.Println("open")
	var group sync.WaitGroup
	for writer := range crashWriters {
		group.Go(func() {
			var b storage.Batch
			for n := lastBatch(store, writer) + 1; ; n++ {
				b.Reset()
				for i := range crashCounters {
					b.Put(counterKey(writer, i), fmt.Append(nil, n))
				}
				b.Put(rowKey(writer, n), rowValue(writer, n))
				if err := store.Apply(&b); err != nil {
					fmt.Fprintln(os.Stderr, "child:", err)
					os.Exit(1)
				}
				fmt.Fprintf(os.Stdout, "%d %d\n", writer, n)
			}
		})
	}
	group.Wait()
}

// lastBatch returns what the writer's first counter says, 0 if there is none.
func lastBatch(r storage.Reader, writer int) (n int) {
	value, err := r.Get(counterKey(writer, 0), nil)
	if err == nil {
		_, _ = fmt.Sscan(string(value), &n)
	}
	return n
}
