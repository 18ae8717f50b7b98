package flowengine

import (
	"crypto/sha256"
	"encoding/binary"
	"strconv"
	"strings"
)

// wholeAudience is the sum of all shares, in hundredths of a percent; it is
// also the number of buckets that persons fall into (rule P2).
const wholeAudience = 10_000

// SplitAudience sends each person down one of several branches, by chance but
// always the same (rules P1–P4), until one of them has won (rule P6).
type SplitAudience struct {
	Branches []SplitBranch `yaml:"branches" required:"true" doc:"Between 2 and 20 branches; their shares sum to exactly 100."`
	Assign   string        `yaml:"assign" enum:"sticky,per_entry" default:"sticky" doc:"sticky: a person takes the same branch at every entry. per_entry: each entry is drawn anew."`
	Winner   *SplitWinner  `yaml:"winner" doc:"Lets the best branch take everybody, once it has proved to be better."`
}

// SplitBranch is one way through a split.
type SplitBranch struct {
	Share Share  `yaml:"share" required:"true" doc:"Percentage of persons, with at most two decimal places."`
	Next  string `yaml:"next" doc:"Element to go on with; none ends the run."`
}

// Ports lists the outcomes of the element: none but its branches.
func (e *SplitAudience) Ports() []string { return nil }

// Check demands that the shares cover the audience exactly (rule P1).
func (e *SplitAudience) Check(c *Checker) {
	if n := len(e.Branches); n < 2 || n > 20 {
		c.ErrorfAt([]any{"branches"}, "a split has between 2 and 20 branches, not %d", n)
		return
	}
	sum := Share(0)
	for _, b := range e.Branches {
		sum += b.Share
	}
	if sum != wholeAudience {
		c.ErrorfAt([]any{"branches"}, "the shares sum to %s; they must sum to exactly 100", sum)
	}
}

func (e *SplitAudience) branches() []string {
	next := make([]string, len(e.Branches))
	for i, b := range e.Branches {
		next[i] = b.Next
	}
	return next
}

// Arrive chooses the branch by the person's bucket, unless one has won.
func (e *SplitAudience) Arrive(x *Passage) Outcome {
	if i, ok := x.won(e); ok { // P6
		return Branch(branchPort(i), e.Branches[i].Next)
	}
	entry := uint32(0)
	if e.Assign == "per_entry" { // P3
		entry = x.Run.Number
	}
	b := bucket(x.Version.Settings.salt(x.Version.Flow), x.Version.Flow, x.Element, x.Person.ID, entry)
	for i, branch := range e.Branches {
		if b < branch.Share {
			return Branch(branchPort(i), branch.Next)
		}
		b -= branch.Share
	}
	return End(exitCompleted) // Check has made sure that shares cover all buckets
}

// bucket is the place of a person in a split, below wholeAudience (rule P2). An
// entry other than 0 makes it differ from entry to entry (rule P3).
func bucket(salt, flow, element string, person PersonID, entry uint32) Share {
	b := make([]byte, 0, 192)
	b = append(append(b, salt...), '|')
	b = append(append(b, flow...), '|')
	b = append(append(b, element...), '|')
	b = idText.AppendEncode(b, person[:])
	if entry != 0 {
		b = strconv.AppendUint(append(b, '|'), uint64(entry), 10)
	}
	sum := sha256.Sum256(b)
	return Share(binary.BigEndian.Uint64(sum[:8]) % wholeAudience)
}

// Share is a part of an audience in hundredths of a percent.
type Share uint16

// ParseShare reads a percentage above 0 with at most two decimal places, such
// as 33.34 (rule P1).
func ParseShare(s string) (Share, bool) {
	n, err := parseDecimal(s)
	const unit = scale / 100
	if err != nil || strings.ContainsAny(s, ",+") || n <= 0 || n > 100*scale || n%unit != 0 {
		return 0, false
	}
	return Share(n / unit), true
}

// String gives the share as a percentage.
func (s Share) String() string { return formatDecimal(int64(s) * scale / 100) }

var branchPorts = [...]string{
	"branch_1", "branch_2", "branch_3", "branch_4", "branch_5", "branch_6", "branch_7", "branch_8", "branch_9", "branch_10",
	"branch_11", "branch_12", "branch_13", "branch_14", "branch_15", "branch_16", "branch_17", "branch_18", "branch_19", "branch_20",
}

// maxBranches is the most branches that an element may have.
const maxBranches = len(branchPorts)

// branchPort names the i-th branch, from 0, in history and metrics.
func branchPort(i int) string { return branchPorts[i] }
