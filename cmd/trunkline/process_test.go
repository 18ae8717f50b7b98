package main

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// process is a child process whose output is kept. It ends with the test, and
// with the test's process however that ends.
type process struct {
	cmd       *exec.Cmd
	out, errs *output
	done      chan struct{} // closed when the process has ended
}

// startProcess starts a command. Whatever of out and errs the command has set
// already stays.
func startProcess(t testing.TB, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{cmd: cmd, out: new(output), errs: new(output), done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.out, p.errs
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	// After the process, its own children may hold the pipes open.
	cmd.WaitDelay = 5 * time.Second
	started := make(chan error)
	go func() {
		// Pdeathsig comes when the thread that forked ends (prctl(2)): this
		// goroutine keeps its thread until the child has ended.
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // ProcessState tells
			close(p.done)
		}
	}()
	if err := <-started; err != nil {
		t.Fatalf("starting %s: %v", cmd.Path, err)
	}
	t.Cleanup(func() {
		p.kill()
		for _, alarm := range []string{"WARNING: DATA RACE", "panic: ", "fatal error: "} {
			if strings.Contains(p.errs.String(), alarm) {
				t.Errorf("%s says:\n%s", filepath.Base(cmd.Path), p.errs)
				return
			}
		}
		if t.Failed() {
			t.Logf("%s:\n%s%s", strings.Join(cmd.Args, " "), p.out.end(), p.errs.end())
		}
	})
	return p
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

func (p *process) signal(s os.Signal) { _ = p.cmd.Process.Signal(s) }

// kill ends the process at once, as kill -9 does.
func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	<-p.done
}

// wait waits for the process to end by itself.
func (p *process) wait(t testing.TB) {
	t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		p.signal(syscall.SIGQUIT) // Go programs show their goroutines
		select {
		case <-p.done:
		case <-time.After(5 * time.Second):
		}
		t.Fatalf("%s did not end\n%s", strings.Join(p.cmd.Args, " "), p.errs)
	}
}

// output is what a process has written so far.
type output struct {
	mu    sync.Mutex
	b     []byte
	lines func(string) // gets every whole line, in order
	begun int          // where the line that is not whole begins
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.b = append(o.b, b...)
	o.feed()
	return len(b), nil
}

// follow hands every line to f, which must not block.
func (o *output) follow(f func(line string)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.lines = f
	o.feed()
}

func (o *output) feed() {
	for o.lines != nil {
		n := bytes.IndexByte(o.b[o.begun:], '\n')
		if n < 0 {
			return
		}
		o.lines(string(o.b[o.begun : o.begun+n]))
		o.begun += n + 1
	}
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.b)
}

// end is the last lines.
func (o *output) end() string {
	s := o.String()
	return s[max(0, len(s)-2000):]
}

// expect waits for a text.
func (o *output) expect(t testing.TB, text string) {
	t.Helper()
	for end := time.Now().Add(patience); !strings.Contains(o.String(), text); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%q did not come; there is:\n%s", text, o.end())
		}
	}
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !f(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it did not come true that %s", what)
		}
	}
}

// receive waits for a value.
func receive[T any](t testing.TB, what string, ch <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-ch:
	case <-time.After(patience):
		t.Fatalf("%s did not come", what)
	}
	return v
}

func readAll(t testing.TB, res *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(io.LimitReader(res.Body, 8<<20))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// freePort is a loopback port that nobody listens on at this moment, for
// programs that can't choose one by themselves.
func freePort(t testing.TB) string {
	t.Helper()
	l := listenLoopback(t)
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func listenLoopback(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// need finds a program of an independent peer, or skips the test by its name.
func need(t testing.TB, peer string, names ...string) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skipf("SKIPPED: %s is not installed here; `make peers` installs it", peer)
	return ""
}
