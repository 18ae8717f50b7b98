package flowengine

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
)

const vectorsFile = "testdata/split_vectors.txt"

// P2, P4: buckets are as published; other implementations can check theirs.
func TestSplitVectors(t *testing.T) {
	if *update {
		var b strings.Builder
		b.WriteString("# salt flow element person entry bucket: rule P2, SHA-256(salt|flow|element|person[|entry])[:8] mod 10000, big-endian\n")
		for i := range 20 {
			p := NewPersonID(Address{Phone, strconv.Itoa(385910000000 + i)}, 0)
			for _, v := range []struct {
				salt, flow, element string
				entry               uint32
			}{{"birthday", "birthday", "ab", 0}, {"2026", "birthday", "ab", 0}, {"birthday", "birthday", "ab", 2}} {
				fmt.Fprintf(&b, "%s %s %s %s %d %d\n", v.salt, v.flow, v.element, p, v.entry, bucket(v.salt, v.flow, v.element, p, v.entry))
			}
		}
		if err := os.WriteFile(vectorsFile, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f, err := os.Open(vectorsFile)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	n := 0
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "#") {
			continue
		}
		var salt, flow, element, id string
		var entry uint32
		var want Share
		if _, err := fmt.Sscan(lines.Text(), &salt, &flow, &element, &id, &entry, &want); err != nil {
			t.Fatal(err)
		}
		person, err := ParsePersonID(id)
		if err != nil {
			t.Fatal(err)
		}
		if got := bucket(salt, flow, element, person, entry); got != want {
			t.Errorf("%s: got %d", lines.Text(), got)
		}
		n++
	}
	if n < 20 {
		t.Errorf("only %d vectors", n)
	}
}

// P4: what a person gets at one split says nothing about another.
func TestSplitsAreIndependent(t *testing.T) {
	split := &SplitAudience{Branches: []SplitBranch{{Share: 2000, Next: "a"}, {Share: 2000, Next: "b"}, {Share: 6000, Next: "c"}}}
	column := map[string]int{"a": 0, "b": 1, "c": 2}
	const people = 200_000
	var joint [3][3]float64
	x := &Passage{Set: new(Set), Version: &Version{Flow: "f"}, Person: new(Person), Run: new(Run)}
	for i := range people {
		x.Person.ID = NewPersonID(Address{Phone, strconv.Itoa(385910000000 + i)}, 0)
		x.Element = "first"
		row := column[split.Arrive(x).target]
		x.Element = "second"
		joint[row][column[split.Arrive(x).target]]++
	}
	shares := [3]float64{.2, .2, .6}
	var chi2, each float64
	for i := range joint {
		sum := 0.0
		for j := range joint[i] {
			want := people * shares[i] * shares[j]
			chi2 += (joint[i][j] - want) * (joint[i][j] - want) / want
			sum += joint[i][j]
		}
		want := people * shares[i]
		each += (sum - want) * (sum - want) / want
	}
	t.Logf("χ² joint %.2f, first split %.2f", chi2, each)
	if chi2 >= 16 {
		t.Errorf("joint χ² is %.2f", chi2)
	}
}

// P3: sticky over entries and versions, drawn anew per entry on demand.
func TestSplitAssignment(t *testing.T) {
	x := &Passage{Set: new(Set), Version: &Version{Flow: "f"}, Person: &Person{ID: NewPersonID(Address{Phone, "1"}, 0)}, Run: &Run{Number: 1}, Element: "ab"}
	half := []SplitBranch{{Share: 5000, Next: "a"}, {Share: 5000, Next: "b"}}
	sticky, fresh := &SplitAudience{Branches: half, Assign: "sticky"}, &SplitAudience{Branches: half, Assign: "per_entry"}
	first, seen := sticky.Arrive(x), map[string]bool{}
	for n := range uint32(20) {
		x.Run.Number, x.Version.Ordinal = n+1, n+1
		if sticky.Arrive(x) != first {
			t.Fatal("another branch at another entry")
		}
		seen[fresh.Arrive(x).target] = true
	}
	if len(seen) != 2 {
		t.Error("per_entry draws the same branch for ever")
	}
	x.Version.Settings.Salt = "other"
	moved := 0
	for i := range 100 {
		x.Person.ID = NewPersonID(Address{Phone, strconv.Itoa(i)}, 0)
		x.Version.Settings.Salt = "other"
		a := sticky.Arrive(x)
		x.Version.Settings.Salt = ""
		if a != sticky.Arrive(x) {
			moved++
		}
	}
	if moved < 25 || moved > 75 {
		t.Errorf("another salt moves %d of 100 people", moved)
	}
}

// P1: shares are exact.
func TestParseShare(t *testing.T) {
	for s, want := range map[string]Share{"20": 2000, "33.34": 3334, "0.01": 1, "100": 10000, "50.5": 5050, "12.30": 1230} {
		if got, ok := ParseShare(s); !ok || got != want {
			t.Errorf("%s: %v %v", s, got, ok)
		}
	}
	for _, s := range []string{"", "0", "-1", "33.333", "100.01", "1e1", "33,3", "+5", "many", "0.00"} {
		if got, ok := ParseShare(s); ok {
			t.Errorf("%s is %v", s, got)
		}
	}
}

func BenchmarkBucket(b *testing.B) {
	id := NewPersonID(Address{Phone, "385911234567"}, 0)
	b.ReportAllocs()
	for b.Loop() {
		bucket("birthday", "birthday", "ab", id, 0)
	}
}
