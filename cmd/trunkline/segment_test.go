package main

import (
	"maps"
	"strings"
	"testing"
	"time"
)

var segmentFile = map[string]string{
	"segments/people.yaml": `segments:
  - segment: vip
    name: Our best
    condition: {tag: vip}
  - {segment: large, update: snapshot, condition: {attr: shoeSize, op: gt, value: 44}}
`,
	"flows/club.yaml": `flow: club
entries: [{id: e, type: audience, update: real_time, condition: {segment: {in: [vip]}}, next: x}]
elements: {x: {type: exit}}
`,
}

func segmentSite(t *testing.T) *site {
	files := maps.Clone(small)
	maps.Copy(files, segmentFile)
	files["trunkline.yaml"] = "include: [segments/*.yaml]\nstorage: {reserve_mib: 16}\n" + files["trunkline.yaml"]
	return newSite(t, files)
}

func TestSegmentTools(t *testing.T) {
	t.Parallel()
	s := segmentSite(t)
	g := s.start()
	for _, who := range []string{"385911", "385912", "385913"} {
		s.must("person", "set", who, "shoeSize=46", "--tag", "vip", "--create")
	}
	for deadline := time.Now().Add(20 * time.Second); strings.Contains(s.must("segment", "list"), "being computed"); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("segments are never computed")
		}
	}
	if out := s.must("segment", "list", "--csv"); !strings.Contains(out, "vip,Our best,real_time,3,false,1.000\n") || !strings.Contains(out, "\nlarge,large,snapshot,") {
		t.Errorf("segment list printed %s", out)
	}
	if out := s.must("segment", "show", "vip"); !strings.Contains(out, "3 members") {
		t.Errorf("segment show printed %s", out)
	}
	if out := s.must("segment", "members", "vip", "--limit", "2", "--all"); strings.Count(out, "phone:38591") != 3 {
		t.Errorf("segment members printed %s", out)
	}
	if out := s.must("segment", "members", "vip", "--limit", "2", "--csv"); strings.Count(out, "\n") != 3 {
		t.Errorf("one page as CSV: %s", out)
	}
	s.must("segment", "recompute", "large")
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(s.must("segment", "show", "large"), "3 members, computed"); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the snapshot is never computed")
		}
	}
	s.refused([]string{`"vop"`, "large, vip"}, "segment", "recompute", "vop")
	if f := s.flow("club"); f.Entered != 3 {
		t.Errorf("%d entered the club", f.Entered)
	}
	s.edit("segments/people.yaml", "condition: {tag: vip}", "condition: {tag: gold}")
	s.must("reload")
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(s.must("segment", "show", "vip"), "0 members, computed"); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the changed segment is never computed")
		}
	}
	g.stop()
}

// What is wrong with segments is told with its place, in whatever file.
func TestCheckTellsMistakesOfSegments(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, file, old, new, want string }{
		{"unknown segment in a flow", "flows/club.yaml", "[vip]", "[vipp]", `flows/club.yaml:2:81: there is no segment "vipp" (did you mean "vip"?)`},
		{"attribute", "segments/people.yaml", "attr: shoeSize", "attr: shoesize", `segments/people.yaml:5:58: there is no attribute "shoesize" (did you mean "shoeSize"?)`},
		{"unknown key", "segments/people.yaml", "name: Our", "nam: Our", `segments/people.yaml:3:5: segments[0]: unknown key "nam" (did you mean "name"?)`},
		{"twice", "segments/people.yaml", "segment: large", "segment: vip", `segments/people.yaml:5:15: segment "vip" is there already, at segments/people.yaml:2:14`},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := segmentSite(t)
			s.config = "trunkline.yaml"
			s.edit(c.file, c.old, c.new)
			if got := s.try("check"); got.code != 1 || !strings.Contains(got.errs, c.want+"\n") {
				t.Errorf("exit code %d\n%s not\n%s", got.code, got.errs, c.want)
			}
		})
	}
}
