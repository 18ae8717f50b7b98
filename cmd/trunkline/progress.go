package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// progress shows on a terminal how far a long work is. Anywhere else it is silent.
type progress struct {
	w     io.Writer
	what  string
	last  time.Time
	shown bool
}

func newProgress(w io.Writer, what string) *progress {
	if isTerminal(w) {
		return &progress{w: w, what: what}
	}
	return &progress{}
}

// isTerminal says whether somebody reads along.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// show draws the bar; a total of 0 is not known.
func (p *progress) show(done, total uint64) {
	if p.w == nil || time.Since(p.last) < 100*time.Millisecond {
		return
	}
	p.last, p.shown = time.Now(), true
	if total == 0 {
		fmt.Fprintf(p.w, "\r%s %s ", p.what, byteSize(done))
		return
	}
	const width = 30
	n := int(min(done*width/total, width))
	fmt.Fprintf(p.w, "\r%s [%s%s] %3d%% ", p.what, strings.Repeat("=", n), strings.Repeat(" ", width-n), min(done*100/total, 100))
}

// end leaves the line.
func (p *progress) end() {
	if p.shown {
		fmt.Fprintln(p.w)
	}
}

// byteSize writes a size for people.
func byteSize(n uint64) string {
	const units = "KMGT"
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	f, i := float64(n)/1024, 0
	for f >= 1024 && i < len(units)-1 {
		f, i = f/1024, i+1
	}
	return fmt.Sprintf("%.1f %ciB", f, units[i])
}
