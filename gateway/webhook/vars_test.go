package webhook

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// X9: fields of the first level whose values are primitive become variables.
func TestVariables(t *testing.T) {
	long := strings.Repeat("x", maxVarText)
	for _, tt := range []struct {
		body string
		want map[string]any
	}{
		{`{"name":"Ana","age":42,"price":12.50,"ok":true,"no":false}`, map[string]any{"name": "Ana", "age": int64(42), "price": Decimal("12.5"), "ok": true, "no": false}},
		{`{"a":{"b":1},"c":[1,"x"],"d":null,"e":1}`, map[string]any{"e": int64(1)}},
		{`{"first-name":1,"1st":1,"":1,"ž":1,"_ok9":1,"a b":1}`, map[string]any{"_ok9": int64(1)}},
		{`{"` + strings.Repeat("n", 65) + `":1,"` + strings.Repeat("n", 64) + `":1}`, map[string]any{strings.Repeat("n", 64): int64(1)}},
		{`{"a":1,"a":2}`, map[string]any{"a": int64(2)}},
		{`{"a":1,"a":null}`, map[string]any{}},
		{`{"s":"` + long + `","t":"` + long + `x"}`, map[string]any{"s": long}},
		{`{"u":"\u010d\ud83d\ude00\n"}`, map[string]any{"u": "č😀\n"}},
		{"\xEF\xBB\xBF" + ` {"a":"b"} `, map[string]any{"a": "b"}},
		{`{}`, map[string]any{}},
		{``, nil}, {`null`, nil}, {`"text"`, nil}, {`[{"a":1}]`, nil}, {`{"a":1`, nil}, {`{"a":1}x`, nil}, {`{"a":01}`, nil}, {`<html>`, nil},
	} {
		got := variables([]byte(tt.body))
		if !maps.Equal(got, tt.want) || (got == nil) != (tt.want == nil) {
			t.Errorf("%.60s: %v, want %v", tt.body, got, tt.want)
		}
	}
}

func TestNumbersAreExact(t *testing.T) {
	for text, want := range map[string]any{
		"0": int64(0), "-0": int64(0), "0.000": int64(0), "0e999999999": int64(0),
		"1": int64(1), "-17": int64(-17), "1.0": int64(1), "1e3": int64(1000), "1500e-2": int64(15), "1.5E+1": int64(15),
		"9223372036854775807": int64(9223372036854775807), "-9223372036854775808": int64(-9223372036854775808),
		"9223372036854775808": Decimal("9223372036854775808"), "12345678901234567890": Decimal("12345678901234567890"),
		"0.1": Decimal("0.1"), "-0.10": Decimal("-0.1"), "1e-3": Decimal("0.001"), "123.456e1": Decimal("1234.56"), "0.30000000000000004": Decimal("0.30000000000000004"),
		"1e40": nil, "1e-42": nil, "1e99999999999999999999": nil, "1e400": nil,
		strings.Repeat("1", 41): nil,
	} {
		if got := number(text); got != want {
			t.Errorf("%s: %v (%T), want %v", text, got, got, want)
		}
	}
}

func TestNumbersKeepTheirValue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`-?(0|[1-9][0-9]{0,12})(\.[0-9]{1,12})?([eE][+-]?[0-9]{1,2})?`).Draw(t, "number")
		v := number(text)
		if v == nil {
			return
		}
		want, _ := new(big.Rat).SetString(text)
		got, ok := new(big.Rat).SetString(fmt.Sprint(v))
		if !ok || got.Cmp(want) != 0 {
			t.Fatalf("%s becomes %v", text, v)
		}
	})
}

func TestVariablesAreBounded(t *testing.T) {
	var b strings.Builder
	for i := range 150 {
		fmt.Fprintf(&b, `,"v%d":%d`, i, i)
	}
	vars := variables([]byte(`{"v3":0` + b.String() + `,"v5":"again"}`))
	if len(vars) != maxVars || vars["v99"] != int64(99) || vars["v100"] != nil || vars["v5"] != "again" {
		t.Errorf("%d variables: %v", len(vars), vars)
	}
	if vars := variables([]byte(strings.Repeat("[", 200_000))); vars != nil {
		t.Error(vars)
	}
}

func FuzzVariables(f *testing.F) {
	for _, s := range []string{`{"a":"b","c":1.5e3,"d":[{}],"e":true}`, `{"a":{"a":{}},"a":1}`, "\xEF\xBB\xBF{}", `{"\u0061":"\ud800"}`, `{"a":-0e-0}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		vars := variables(body)
		if len(vars) > maxVars {
			t.Fatalf("%d variables", len(vars))
		}
		for name, v := range vars {
			if !identifier(name) {
				t.Fatalf("%q is a name", name)
			}
			switch v := v.(type) {
			case string:
				if len(v) > maxVarText {
					t.Fatalf("%d octets of text", len(v))
				}
			case Decimal:
				if !json.Valid([]byte(v)) || strings.ContainsAny(string(v), "eE") || len(v) > 2*maxDigits+3 {
					t.Fatalf("%q is a number", v)
				}
			case int64, bool:
			default:
				t.Fatalf("%s has the type %T", name, v)
			}
		}
	})
}
