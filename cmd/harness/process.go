package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a program under test. Its output goes to a file.
type process struct {
	cmd   *exec.Cmd
	log   string
	done  chan struct{} // closed when it has ended
	err   error         // how; after done
	began time.Time
}

// start runs a program; it dies with the harness.
func start(dir, log, name string, args ...string) (*process, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	p := &process{cmd: exec.Command(name, args...), log: log, done: make(chan struct{}), began: time.Now()}
	p.cmd.Dir = dir
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	// Pdeathsig is sent when the thread that forked ends, not the process: this
	// goroutine keeps its thread until the child has ended.
	go func() {
		runtime.LockOSThread()
		if err := p.cmd.Start(); err != nil {
			started <- err
			return
		}
		started <- nil
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	return p, nil
}

// alive tells whether the process runs.
func (p *process) alive() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// stop ends the process and waits for it; after patience by force, which is an error.
func (p *process) stop(patience time.Duration) error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
		return nil
	case <-time.After(patience):
		_ = p.cmd.Process.Kill()
		<-p.done
		return fmt.Errorf("%s did not end within %s of %s", p.cmd.Path, patience, syscall.SIGTERM)
	}
}

// kill ends the process at once.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// ready waits until url answers 200 and returns how long that took from the start.
func (p *process) ready(ctx context.Context, url string) (time.Duration, error) {
	client := http.Client{Timeout: 5 * time.Second}
	for {
		res, err := client.Get(url)
		if err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return time.Since(p.began), nil
			}
		}
		select {
		case <-p.done:
			return 0, fmt.Errorf("%s ended: %w\n%s", p.cmd.Path, p.err, p.output())
		case <-ctx.Done():
			return 0, fmt.Errorf("%s was not ready in time\n%s", p.cmd.Path, p.output())
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// output is the end of what the process has said.
func (p *process) output() string {
	const most = 4 << 10
	b, _ := os.ReadFile(p.log)
	return string(b[max(0, len(b)-most):])
}

// usage is what a process has used so far.
type usage struct {
	cpu  time.Duration
	rss  uint64 // bytes, now
	anon uint64 // of it not backed by files
	top  uint64 // bytes, at most
}

func (p *process) usage() usage { return usageOf(p.cmd.Process.Pid) }

func usageOf(pid int) (u usage) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return u
	}
	field := func(name string) uint64 {
		_, rest, _ := strings.Cut(string(status), name+":")
		f := strings.Fields(rest)
		if len(f) == 0 {
			return 0
		}
		n, _ := strconv.ParseUint(f[0], 10, 64)
		return n << 10
	}
	u.rss, u.anon, u.top = field("VmRSS"), field("RssAnon"), field("VmHWM")
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return u
	}
	f := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(f) > 12 { // utime and stime, proc(5)
		user, _ := strconv.ParseUint(f[11], 10, 64)
		system, _ := strconv.ParseUint(f[12], 10, 64)
		u.cpu = time.Duration(user+system) * 10 * time.Millisecond // USER_HZ is 100
	}
	return u
}

// machineBusy is the processor time that everybody on the machine has used.
func machineBusy() time.Duration {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(b), "\n")
	busy := uint64(0)
	for i, f := range strings.Fields(line) { // cpu user nice system idle iowait irq softirq …, proc(5)
		if i == 0 || i == 4 || i == 5 || i > 8 { // guest time is in user time already
			continue
		}
		n, _ := strconv.ParseUint(f, 10, 64)
		busy += n
	}
	return time.Duration(busy) * 10 * time.Millisecond
}

func megabytes(n uint64) float64 { return float64(n) / (1 << 20) }
