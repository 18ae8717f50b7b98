package main

import (
	"os/exec"
	"strings"
	"testing"
)

// TestImportDirection holds the architecture: edges depend on the core, never
// the other way, and no edge knows another. docs/architecture.md explains why.
func TestImportDirection(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}}{{range .Imports}} {{.}}{{end}}`, "trunkline/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		pkg := fields[0]
		for _, imp := range fields[1:] {
			if !strings.HasPrefix(imp, "trunkline/") {
				continue
			}
			if why := forbidden(strings.TrimPrefix(pkg, "trunkline/"), strings.TrimPrefix(imp, "trunkline/")); why != "" {
				t.Errorf("%s imports %s: %s", pkg, imp, why)
			}
		}
	}
}

// forbidden says why package pkg may not import package imp, or "".
func forbidden(pkg, imp string) string {
	if strings.HasPrefix(pkg, "cmd/") {
		return ""
	}
	if strings.HasPrefix(imp, "cmd/") {
		return "only the command knows everybody"
	}
	top, impTop := room(pkg), room(imp)
	pure := top == "keyword" || top == "ivr" || (top == "flowengine" && !strings.HasPrefix(pkg, "flowengine/runtime"))
	switch {
	case pure && (impTop == "gateway" || impTop == "storage" || strings.HasPrefix(imp, "flowengine/runtime")):
		return "keyword, ivr and flowengine are pure"
	case strings.HasPrefix(pkg, "flowengine/runtime") && impTop == "gateway":
		return "the runtime knows no edge"
	case strings.HasPrefix(pkg, "flowengine/runtime") && strings.HasPrefix(imp, "storage/"):
		return "the runtime knows the storage contract, no implementation"
	case top == "storage" && impTop != "storage":
		return "storage knows nothing of the product"
	case top == "configs" && impTop != "configs":
		return "configs holds files and the decoder, nothing of the product"
	case top == "gateway" && impTop == "gateway" && edge(pkg) != "" && edge(imp) != "" && edge(pkg) != edge(imp) && (edge(pkg) != "sip" || edge(imp) != "rtp"):
		return "an edge never imports a sibling"
	}
	return ""
}

func room(pkg string) string { top, _, _ := strings.Cut(pkg, "/"); return top }

// edge is the protocol of a package below gateway/, or "" for the contracts.
func edge(pkg string) string {
	rest, ok := strings.CutPrefix(pkg, "gateway/")
	if !ok {
		return ""
	}
	e, _, _ := strings.Cut(rest, "/")
	return e
}
