package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"trunkline/gateway/smpp/pdu"
)

// A second daemon on the same folder does not start, and the first goes on.
func TestSecondDaemon(t *testing.T) {
	t.Parallel()
	s := newSite(t, example(t))
	g := s.start()
	s.refused([]string{fmt.Sprintf("process %d has it open: stop that process or use another folder", g.cmd.Process.Pid), s.path("data/store")}, "run")
	g.answers(anna, "START", question)
	s.must("status") // the control socket is still the first one's
	g.stop()
	if _, err := os.Stat(s.path("data/control.sock")); err == nil {
		t.Error("the control socket is left")
	}
}

// A port that is taken is named; the store is left in order.
func TestPortInUse(t *testing.T) {
	t.Parallel()
	l := listenLoopback(t)
	defer l.Close()
	taken := l.Addr().String()
	s := newSite(t, example(t))
	s.edit("trunkline.yaml", `address: "127.0.0.1:0"`, fmt.Sprintf("address: %q", taken))
	s.refused([]string{"listening on", taken, "address already in use"}, "run")
	s.edit("trunkline.yaml", fmt.Sprintf("address: %q", taken), `address: "127.0.0.1:0"`)
	s.edit("trunkline.yaml", `listen: "127.0.0.1:0"`, fmt.Sprintf("listen: %q", taken))
	s.refused([]string{"admin.listen", taken, "address already in use"}, "run")
	s.edit("trunkline.yaml", fmt.Sprintf("listen: %q", taken), `listen: "127.0.0.1:0"`)
	s.start().stop()
}

// A data folder that can't be written is named.
func TestDataFolderUnusable(t *testing.T) {
	t.Parallel()
	t.Run("a file is in its place", func(t *testing.T) {
		s := newSite(t, example(t))
		s.write("data", "not a folder")
		s.refused([]string{"data folder", s.path("data")}, "run")
	})
	t.Run("read-only", func(t *testing.T) {
		if os.Getuid() == 0 {
			t.Skip("SKIPPED: root may write to read-only folders")
		}
		s := newSite(t, example(t))
		if err := os.Mkdir(s.path("data"), 0o500); err != nil {
			t.Fatal(err)
		}
		s.refused([]string{s.path("data"), "permission denied"}, "run")
	})
	t.Run("somebody else's files", func(t *testing.T) {
		s := newSite(t, example(t))
		s.write("data/store/photo.jpg", "")
		s.refused([]string{"photo.jpg", "it is no store"}, "run")
		if _, err := os.Stat(s.path("data/store/photo.jpg")); err != nil {
			t.Error(err)
		}
	})
}

// A damaged store is not opened, and not damaged further.
func TestDamagedStore(t *testing.T) {
	t.Parallel()
	whole := newSite(t, example(t))
	g := whole.start()
	g.answers(anna, "START", question)
	g.stop()
	tables, err := filepath.Glob(whole.path("data/store/*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatalf("the store has no table: %v", err)
	}
	for _, c := range []struct {
		name, file string
		at         func(size int) int // which byte is flipped
	}{
		{"block of a table", filepath.Base(tables[0]), func(int) int { return 40 }},
		{"index of a table", filepath.Base(tables[0]), func(size int) int { return size - 20 }},
		{"list of tables", "MANIFEST", func(size int) int { return size - 4 }},
		{"format", "FORMAT", func(int) int { return 3 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t, example(t))
			if err := os.CopyFS(s.path("data/store"), os.DirFS(whole.path("data/store"))); err != nil {
				t.Fatal(err)
			}
			path := s.path("data/store/" + c.file)
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			text[c.at(len(text))] ^= 0xff
			if err := os.WriteFile(path, text, 0o600); err != nil {
				t.Fatal(err)
			}
			before := s.files("data/store")
			s.refused([]string{"opening the store", c.file}, "run")
			after := s.files("data/store")
			for name, text := range before {
				if name != "OWNER" && !bytes.Equal(text, after[name]) {
					t.Errorf("%s was changed", name)
				}
			}
			if len(after) != len(before) {
				t.Errorf("there were %d files and now %d", len(before), len(after))
			}
		})
	}
}

// files are the contents of a folder.
func (s *site) files(dir string) map[string][]byte {
	s.Helper()
	names, err := os.ReadDir(s.path(dir))
	if err != nil {
		s.Fatal(err)
	}
	all := map[string][]byte{}
	for _, n := range names {
		text, err := os.ReadFile(s.path(dir + "/" + n.Name()))
		if err != nil {
			s.Fatal(err)
		}
		all[n.Name()] = text
	}
	return all
}

// On a disk that is full the daemon refuses what it could not keep, says why,
// and goes on as soon as there is room.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("SKIPPED: only root may mount a small file system")
	}
	s := newSite(t, example(t))
	if err := os.Mkdir(s.path("data"), 0o700); err != nil {
		t.Fatal(err)
	}
	// The engine's files are larger on paper than on disk.
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=256m", "tmpfs", s.path("data")).CombinedOutput(); err != nil {
		t.Skipf("SKIPPED: a small file system can't be mounted here: %v: %s", err, out)
	}
	t.Cleanup(func() { _ = exec.Command("umount", "-l", s.path("data")).Run() })
	g := s.start()
	g.answers(anna, "START", question)

	fill(t, s.path("data/ballast"))
	eventually(t, "health says why", func() bool {
		code, body := g.get("/healthz")
		return code == 503 && strings.Contains(body, "16 MiB are kept in reserve")
	})
	l := bindTo(t, g.smpp, "demo", "demo")
	waiting := l.send(pdu.IDSubmitSM, keywordFrom(boris, "START"))
	g.errs.expect(t, "the store has no room; nothing is acknowledged until there is")
	for range 3 { // one waits, and those behind it are told to come back
		if f := l.request(pdu.IDSubmitSM, keywordFrom(cveta, "START")); f.Status != pdu.ESME_RMSGQFUL {
			t.Errorf("on a full disk a message was answered with %s", f.Status)
		}
	}
	if st := s.status(); st.Ready || !strings.Contains(st.Health, "free some room") {
		t.Errorf("status: %+v", st)
	}
	if code, _ := g.get("/metrics"); code != 200 {
		t.Errorf("metrics: %d", code)
	}
	if err := os.Remove(s.path("data/ballast")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "there is room again", func() bool {
		code, _ := g.get("/healthz")
		return code == 200
	})
	if f := l.response(waiting); f.Status != pdu.ESME_ROK {
		t.Errorf("with room again the message that waited is answered with %s", f.Status)
	}
	if m := l.message(pdu.IDDeliverSM, ""); string(m.Dest.Addr) != boris {
		t.Errorf("the answer went to %s", m.Dest.Addr)
	}
	l.request(pdu.IDUnbind, nil) // answers go to any bind
	g.answers(cveta, "START", question)
	g.answers(anna, "42", thanks42)
	g.stop()
}

// fill takes all the room of a disk but a little.
func fill(t *testing.T, name string) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var st syscall.Statfs_t
	if err := syscall.Statfs(filepath.Dir(name), &st); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Fallocate(int(f.Fd()), 0, 0, int64(st.Bavail)*st.Bsize-(8<<20)); err != nil {
		t.Skipf("SKIPPED: the disk can't be filled: %v", err)
	}
}

// A backup that is taken under traffic holds everything that was acknowledged
// before it, and restores it into an empty folder, and only there.
func TestBackupAndRestore(t *testing.T) {
	t.Parallel()
	s := newSite(t, example(t))
	g := s.start()
	before := s.phones(g, 12)
	stop := make(chan struct{})
	var traffic sync.WaitGroup
	traffic.Go(func() {
		l := bindTo(t, g.smpp, "demo", "demo")
		for i := 0; ; i++ {
			select {
			case <-stop:
				l.request(pdu.IDUnbind, nil)
				return
			default:
			}
			f := l.request(pdu.IDSubmitSM, keywordFrom(fmt.Sprintf("38598%07d", i), "START"))
			if f.Status != pdu.ESME_ROK {
				t.Errorf("under backup: %s", f.Status)
				return
			}
			l.message(pdu.IDDeliverSM, "")
		}
	})
	backup := s.path("backup")
	out := s.must("backup", backup)
	close(stop)
	traffic.Wait()
	if !regexp.MustCompile(`^\S+/backup: [1-9][0-9]+ entries, \S+ [KM]?i?B\n$`).MatchString(out) {
		t.Errorf("backup: %q", out)
	}
	if info, err := os.Stat(backup); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	s.refused([]string{"exists already"}, "backup", backup)
	s.refused([]string{"process " + strconv.Itoa(g.cmd.Process.Pid) + " has it open"}, "restore", backup)
	want := map[string]personView{}
	for _, phone := range before {
		want[phone] = s.person(phone)
	}
	g.stop()
	s.refused([]string{"empty"}, "restore", backup)

	other := newSite(t, example(t))
	if out := other.must("restore", backup); !strings.Contains(out, " entries restored to "+other.path("data")) {
		t.Errorf("restore: %q", out)
	}
	g = other.start()
	for _, phone := range before {
		got := other.person(phone)
		if fmt.Sprint(got) != fmt.Sprint(want[phone]) {
			t.Errorf("%s is %+v, and was %+v", phone, got, want[phone])
		}
	}
	g.answers(before[0], "42", thanks42)
	g.stop()

	// A backup that is not whole is refused before anything is written.
	text, err := os.ReadFile(backup)
	if err != nil {
		t.Fatal(err)
	}
	third := newSite(t, example(t))
	third.write("cut", string(text[:len(text)/2]))
	third.refused([]string{"nothing was written", "cut off"}, "restore", third.path("cut"))
	text[len(text)/2] ^= 1
	third.write("flipped", string(text))
	third.refused([]string{"nothing was written", "wrong checksum"}, "restore", third.path("flipped"))
	third.must("restore", backup)
}

// phones lets some people enter the flow.
func (s *site) phones(g *running, n int) (all []string) {
	s.Helper()
	l := bindTo(s, g.smpp, "demo", "demo")
	for i := range n {
		phone := fmt.Sprintf("38599%07d", i)
		all = append(all, phone)
		if f := l.request(pdu.IDSubmitSM, keywordFrom(phone, "START")); f.Status != pdu.ESME_ROK {
			s.Fatalf("START was answered with %s", f.Status)
		}
		l.message(pdu.IDDeliverSM, "")
	}
	for _, phone := range all {
		eventually(s, "the question is known to be sent", func() bool {
			runs := s.person(phone).Runs
			return len(runs) == 1 && runs[0].Deadline != nil
		})
	}
	l.request(pdu.IDUnbind, nil)
	return all
}

// A store is opened with its key only.
func TestEncryptionKey(t *testing.T) {
	t.Parallel()
	const first, second = "000102030405060708090a0b0c0d0e0f", "ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
	files := example(t)
	files["key"] = first + "\n"
	s := newSite(t, files)
	s.edit("trunkline.yaml", "{reserve_mib: 16}", `{reserve_mib: 16, encryption_key: "${file:key}"}`)
	g := s.start()
	g.answers(anna, "START", question)
	g.stop()
	for name, text := range s.files("data/store") {
		if bytes.Contains(text, []byte(anna)) {
			t.Errorf("%s holds a phone number in clear", name)
		}
	}
	s.write("key", second)
	s.refused([]string{"opening the store", "key"}, "run")
	s.edit("trunkline.yaml", `, encryption_key: "${file:key}"`, "")
	s.refused([]string{"opening the store", "key"}, "run")
	s.edit("trunkline.yaml", "{reserve_mib: 16}", `{reserve_mib: 16, encryption_key: "${file:key}"}`)
	s.write("key", first)
	g = s.start()
	g.answers(anna, "42", thanks42)
	g.stop()
	s.write("key", "secret")
	for _, line := range strings.Split(s.refused([]string{"encryption_key"}, "check"), "\n") {
		if strings.Contains(line, "secret\"") {
			t.Errorf("the key is shown: %s", line)
		}
	}
}
