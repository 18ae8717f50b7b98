package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
)

const peopleConfig = `
data: data
admin: {listen: ""}
people:
  attributes: [{name: shoeSize, type: whole_number}]
`

// A3: a file of people comes in, with what is wrong told by line and column; it
// goes out as it came, is found, merged and erased.
func TestPeople(t *testing.T) {
	s := newSite(t, map[string]string{"trunkline.yaml": peopleConfig})
	g := s.start()
	defer g.stop()
	s.write("people.csv", "Phone,E-mail,First Name,shoeSize,tags,Notes\n+385 91 1000001,ann@example.com,Ann,38,vip;new,=1+1\n385911000002,bob@example.com,Bob,big,,\n,,Carl,,,\n385911000004,,=Dora,-4,,\n")
	people := s.path("people.csv")
	s.refused([]string{`column "Notes": there is no attribute "Notes"`, `--map "Notes=-" leaves it out`}, "people", "import", people)
	s.refused([]string{"2 rows are wrong"}, "people", "import", people, "--map", "Notes=-", "--dry-run")
	s.refused([]string{"nobody is known"}, "people", "find", "385911000001")
	s.refused([]string{"2 rows are wrong", "people.csv.errors.csv says what"}, "people", "import", people, "--map", "Notes=-")
	wrong, err := os.ReadFile(people + ".errors.csv")
	if err != nil {
		t.Fatal(err)
	}
	if want := "line,column,reason\n3,shoeSize,\"\"\"big\"\" is not a whole_number: digits without a point are expected\"\n4,,\"nothing finds the person: a phone number, an e-mail address or an external id is needed\"\n"; string(wrong) != want {
		t.Errorf("the errors are\n%s", wrong)
	}
	if _, err := os.Stat(people + ".resume"); err == nil {
		t.Error("the note of an import that is complete is left")
	}
	s.must("people", "export", s.path("out.csv"))
	out, err := os.ReadFile(s.path("out.csv"))
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"id,created,phone,email,push,chat,external,tags,do_not_contact,address,", ",385911000001,ann@example.com,,,,new;vip,,", ",'=Dora,", ",-4,"} {
		if !strings.Contains(string(out), text) {
			t.Errorf("the export does not say %q:\n%s", text, out)
		}
	}
	if text := s.must("people", "import", s.path("out.csv")); !strings.Contains(text, "2 rows: 0 created, 0 updated, 2 unchanged") {
		t.Errorf("importing what was exported: %s", text)
	}
	if text := s.must("people", "export", "--format", "ndjson"); strings.Count(text, "\n") != 2 {
		t.Errorf("NDJSON:\n%s", text)
	}
	for _, query := range []string{"385911000001", "ann@example.com", "firstName=an*", "shoeSize=38", "tag=VIP"} {
		if text := s.must("people", "find", query); strings.Count(text, "\n") != 1 || !strings.Contains(text, "Ann") {
			t.Errorf("find %s: %q", query, text)
		}
	}
	if text := s.must("people", "find", "--where", "{all: [{attr: shoeSize, op: lt, value: 40}, {tag: vip}]}"); strings.Count(text, "\n") != 1 {
		t.Errorf("find by a condition: %q", text)
	}
	s.refused([]string{`there is no attribute "shoe"`}, "people", "find", "shoe=38")
	s.refused([]string{"--where with a condition"}, "people", "find", "x", "--where", "{tag: x}")
	var one struct {
		Person  personView
		History []any
	}
	if err := json.Unmarshal([]byte(s.must("people", "export", "--person", "ann@example.com")), &one); err != nil || one.Person.ID == "" || len(one.History) == 0 {
		t.Errorf("%+v, %v", one, err)
	}
	s.must("people", "merge", "385911000001", "385911000004")
	if a, b := s.person("385911000001").ID, s.person("385911000004").ID; a != b {
		t.Errorf("merged into %s and %s", a, b)
	}
	s.must("person", "erase", "385911000004", "--yes")
	s.refused([]string{"nobody is known"}, "people", "show", "ann@example.com")
}

// An import goes on where it was cut off, whether the daemon or the command ended.
func TestPeopleImportResumes(t *testing.T) {
	const rows = 40_000
	s := newSite(t, map[string]string{"trunkline.yaml": peopleConfig})
	var b bytes.Buffer
	b.WriteString("phone,email,city\n")
	for i := range rows {
		city := "Split"
		if i%1000 == 0 {
			city = strings.Repeat("x", 60)
		}
		fmt.Fprintf(&b, "38591%07d,p%d@example.com,%s\n", i, i, city)
	}
	s.write("people.csv", b.String())
	people := s.path("people.csv")
	g := s.start()
	s.refused([]string{"no import of this file was cut off"}, "people", "import", people, "--resume")
	cut := func(end func(*process)) {
		p := s.spawn("people", "import", people, "--resume")
		if _, err := os.Stat(people + ".resume"); err != nil {
			p.kill()
			p = s.spawn("people", "import", people)
		}
		before, _ := os.ReadFile(people + ".resume")
		eventually(s, "the import is under way", func() bool {
			note, _ := os.ReadFile(people + ".resume")
			return len(note) > 0 && !bytes.Equal(note, before) || p.ended()
		})
		end(p)
		p.wait(s)
	}
	cut(func(p *process) { p.signal(syscall.SIGKILL) })
	s.refused([]string{"--resume goes on there, --restart begins anew"}, "people", "import", people)
	cut(func(*process) { g.kill() })
	g = s.start()
	defer g.stop()
	if _, err := os.Stat(people + ".resume"); err == nil {
		s.refused([]string{fmt.Sprintf("%d rows are wrong", rows/1000)}, "people", "import", people, "--resume")
	}
	wrong, err := os.ReadFile(people + ".errors.csv")
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(wrong), "\n"); n != 1+rows/1000 {
		t.Errorf("%d lines of errors", n)
	}
	if n := strings.Count(s.must("people", "export"), "\n"); n != 1+rows-rows/1000 {
		t.Errorf("%d lines of export", n)
	}
}
