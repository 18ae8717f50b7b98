package main

import (
	"strings"
	"testing"
	"testing/fstest"
)

func TestReport(t *testing.T) {
	root := fstest.MapFS{
		"docs/rules.md":   {Data: []byte("- **Q1** One.\n- **Q2** Two.\n- **Q3** *Three.*\n- **Q4** Four.\n- **Q5** Five.\n")},
		"a/a_test.go":     {Data: []byte("package a\n\n// Q1: proven.\nfunc TestOne(t *testing.T) {\n\tt.Run(\"Q4\", nil)\n}\n\nfunc help() {\n\t_ = \"Q2\"\n}\n")},
		"b/flows/x.txtar": {Data: []byte("Q5 is proven here.\nQ2 is not.\n")},
	}
	var out strings.Builder
	untested, err := report(root, &out)
	if err != nil || untested != 1 {
		t.Fatalf("untested %d, %v\n%s", untested, err, out.String())
	}
	for _, want := range []string{"Q1    TestOne\n", "Q2    NONE\n", "Q3    (not built yet)\n", "Q4    TestOne\n", "Q5    x.txtar\n", "RESULT rules=5 untested=1 planned=1\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}
