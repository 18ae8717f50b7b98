package main

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"trunkline/configs/strict"
	"trunkline/flowengine"
	"trunkline/gateway/sip"
	"trunkline/gateway/smpp"
)

// kindOfFile is a kind of configuration file with its schema.
type kindOfFile struct {
	name, title, description string
	schema                   func(strict.SchemaOptions) map[string]any
}

// fileKinds lists the kinds of files, in the order of the reference.
var fileKinds = []kindOfFile{
	{"trunkline", "trunkline.yaml", "The main configuration file.", func(o strict.SchemaOptions) map[string]any { return strict.Schema(settings{}, o) }},
	{"include", "included files", "Numbers and people in files of their own; named in `include`.", func(o strict.SchemaOptions) map[string]any { return strict.Schema(included{}, o) }},
	{"carrier", "carriers/*.yaml", "An SMPP peer: one that binds in to us, or one that we bind to.", func(o strict.SchemaOptions) map[string]any { return strict.Schema(smpp.Carrier{}, o) }},
	{"trunk", "trunks/*.yaml", "A SIP peer, which brings calls and takes them.", func(o strict.SchemaOptions) map[string]any { return strict.Schema(sip.Trunk{}, o) }},
	{"flow", "flows/*.yaml", "A communication flow.", flowengine.FlowSchema},
	{"broadcast", "broadcast files", "A message that goes out once to many; given to `trunkline broadcast create`.", flowengine.BroadcastSchema},
}

func (k kindOfFile) make() map[string]any {
	return k.schema(strict.SchemaOptions{Title: "Trunkline: " + k.title, Description: k.description, References: k.name != "flow" && k.name != "broadcast"})
}

func newSchema() *cobra.Command {
	var write, markdown string
	var names []string
	for _, k := range fileKinds {
		names = append(names, k.name)
	}
	c := &cobra.Command{
		Use:       "schema [" + strings.Join(names, "|") + "]",
		Short:     "Print the JSON Schema of a kind of configuration file, for editors",
		Args:      cobra.MatchAll(cobra.MaximumNArgs(1), cobra.OnlyValidArgs),
		ValidArgs: names,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case write != "" || markdown != "":
				return errors.Join(writeSchemas(write), writeReference(markdown))
			case len(args) == 0:
				return fmt.Errorf("name a kind of file: %s", strings.Join(names, ", "))
			}
			for _, k := range fileKinds {
				if k.name == args[0] {
					text, err := strict.SchemaText(k.make())
					if err != nil {
						return err
					}
					_, err = cmd.OutOrStdout().Write(text)
					return err
				}
			}
			return nil
		},
	}
	c.Flags().StringVar(&write, "write", "", "write all schemas to this folder")
	c.Flags().StringVar(&markdown, "markdown", "", "write the reference of all files to this file")
	return c
}

func writeSchemas(dir string) error {
	if dir == "" {
		return nil
	}
	for _, k := range fileKinds {
		text, err := strict.SchemaText(k.make())
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, k.name+".schema.json"), text, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func writeReference(name string) error {
	if name == "" {
		return nil
	}
	return os.WriteFile(name, reference(), 0o600)
}

// reference is docs/configuration.md.
func reference() []byte {
	var b bytes.Buffer
	b.WriteString("# Configuration\n\nEvery key of every file. This page is made from the code by `make generate`.\n\n" +
		"Files are strict YAML 1.2: an unknown key, a wrong type or a broken reference is an error with its place. " +
		"Durations are written as `90s`, `24h`, `7d`. Numbers that people text are quoted: `\"38591000001\"`. " +
		"Outside of flow files, `${env:NAME}` and `${file:path}` stand for a variable and for the contents of a file.\n")
	for _, k := range fileKinds {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n", k.title, k.description)
		referenceOf(&b, "", k.make(), 3)
	}
	return b.Bytes()
}

// referenceOf writes a table of an object's keys, then those of the objects in it.
func referenceOf(b *bytes.Buffer, path string, schema map[string]any, depth int) {
	type inner struct {
		path   string
		schema map[string]any
	}
	var below []inner
	properties, _ := schema["properties"].(map[string]any)
	if len(properties) > 0 {
		b.WriteString("\n| key | default | meaning |\n|---|---|---|\n")
	}
	required := listOf(schema["required"])
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		p, _ := properties[name].(map[string]any)
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", name, defaultOf(p, slices.Contains(required, name)), meaningOf(p))
		if o, suffix := objectIn(p); o != nil && !isCondition(properties) { // conditions within conditions have the same keys
			below = append(below, inner{strings.TrimPrefix(path+"."+name+suffix, "."), o})
		}
	}
	for _, variant := range listOfMaps(schema["allOf"]) { // the types of elements
		then, _ := variant["then"].(map[string]any)
		of, _ := then["properties"].(map[string]any)
		typ, _ := of["type"].(map[string]any)
		below = append(below, inner{fmt.Sprintf("%s: %v", path, typ["const"]), then})
	}
	for _, o := range below {
		fmt.Fprintf(b, "\n%s %s\n", strings.Repeat("#", min(depth, 6)), o.path)
		if d, _ := o.schema["description"].(string); d != "" {
			fmt.Fprintf(b, "\n%s\n", d)
		}
		referenceOf(b, o.path, o.schema, depth)
	}
}

func isCondition(properties map[string]any) bool {
	return properties["all"] != nil && properties["any"] != nil && properties["not"] != nil
}

// objectIn finds the object that a property, or its items or values, is.
func objectIn(p map[string]any) (object map[string]any, suffix string) {
	if _, ok := p["properties"]; ok {
		return p, ""
	}
	for _, key := range []string{"items", "additionalProperties"} {
		if q, ok := p[key].(map[string]any); ok {
			if _, ok := q["properties"]; ok || q["allOf"] != nil {
				if key == "items" {
					return q, "[]"
				}
				return q, ".<id>"
			}
		}
	}
	return nil, ""
}

func defaultOf(p map[string]any, required bool) string {
	if required {
		return "required"
	}
	if d, ok := p["default"]; ok && d != "" {
		return fmt.Sprintf("`%v`", d)
	}
	return ""
}

func meaningOf(p map[string]any) string {
	text, _ := p["description"].(string)
	if e := listOf(p["enum"]); len(e) > 0 {
		text += " One of `" + strings.Join(e, "`, `") + "`."
	}
	low, hasLow := p["minimum"]
	high, hasHigh := p["maximum"]
	switch {
	case hasLow && hasHigh:
		text += fmt.Sprintf(" %v to %v.", low, high)
	case hasLow:
		text += fmt.Sprintf(" At least %v.", low)
	}
	return strings.ReplaceAll(strings.TrimSpace(text), "|", "\\|")
}

func listOf(v any) (texts []string) {
	switch v := v.(type) {
	case []string:
		return v
	case []any:
		for _, x := range v {
			texts = append(texts, fmt.Sprint(x))
		}
	}
	return texts
}

func listOfMaps(v any) (all []map[string]any) {
	switch v := v.(type) {
	case []map[string]any:
		return v
	case []any:
		for _, x := range v {
			if m, ok := x.(map[string]any); ok {
				all = append(all, m)
			}
		}
	}
	return all
}
