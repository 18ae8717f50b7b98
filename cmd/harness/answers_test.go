package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// The application behind Kannel answers what it is asked, again and again over
// one connection, and counts the reports that come back.
func TestAnswers(t *testing.T) {
	a, err := newAnswers(newLoad())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { a.run(ctx) })
	defer func() { cancel(); running.Wait() }()
	c, err := net.Dial("tcp", a.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	in := bufio.NewReader(c)
	get := func(path string) (*http.Response, string) {
		fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n", path)
		r, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		text, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		return r, string(text)
	}
	for n := range 3 {
		from := fmt.Sprint(firstSender + n)
		r, text := get("/answer/" + from + fmt.Sprintf("/%d", shoeSize(n)))
		if want := string(appendReply(nil, n)); text != want || r.Header.Get("X-Kannel-DLR-Mask") != "3" {
			t.Errorf("answered with %q and %v, want %q", text, r.Header, want)
		}
		if a.owed() != 1 {
			t.Errorf("%d reports are owed", a.owed())
		}
		report, ok := strings.CutPrefix(r.Header.Get("X-Kannel-DLR-Url"), "http://"+a.listener.Addr().String())
		if !ok {
			t.Fatalf("reports go to %q", r.Header.Get("X-Kannel-DLR-Url"))
		}
		get(strings.Replace(report, "%d", "1", 1))
		if a.owed() != 0 {
			t.Errorf("%d reports are owed", a.owed())
		}
	}
	fmt.Fprint(c, "GET /answer/38598/x HTTP/1.1\r\n\r\n")
	if _, err := in.ReadByte(); err == nil {
		t.Error("a wrong request is answered")
	}
	cancel()
	running.Wait()
	if len(a.load.book.violations) != 1 {
		t.Errorf("a wrong request: %v", a.load.book.violations)
	}
}
