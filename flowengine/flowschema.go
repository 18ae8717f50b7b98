package flowengine

import (
	"strings"

	"trunkline/configs/strict"
)

// FlowSchema is the JSON Schema (draft 2020-12) of flow files, for editors and
// for those who write flows by program. ParseFlow checks more than a schema can
// say.
func FlowSchema(o strict.SchemaOptions) map[string]any { return strict.Schema(definition{}, o) }

// JSONSchema tells the types apart, so that each gets its own options and ports.
func (e *elementNode) JSONSchema() map[string]any {
	types := make([]typeSchema, len(elementTypes))
	for i, t := range elementTypes {
		types[i] = typeSchema{t.name, t.doc, t.schema()}
	}
	return oneOfTypes(types)
}

// typeSchema is the schema of what has a certain type.
type typeSchema struct {
	name, doc string
	schema    map[string]any
}

// oneOfTypes is the schema of what its key `type` tells apart.
func oneOfTypes(types []typeSchema) map[string]any {
	var names, cases []any
	var about []string
	for _, t := range types {
		names = append(names, t.name)
		about = append(about, t.name+": "+t.doc)
		is := map[string]any{"properties": map[string]any{"type": map[string]any{"const": t.name}}, "required": []any{"type"}}
		cases = append(cases, map[string]any{"if": is, "then": t.schema})
	}
	return map[string]any{
		"type": "object", "required": []any{"type"}, "allOf": cases,
		"properties": map[string]any{"type": map[string]any{"enum": names, "description": strings.Join(about, "\n")}},
	}
}

// schema describes the elements of a type.
func (t elementType) schema() map[string]any {
	element := t.make()
	schema := strict.Subschema(element)
	schema["description"] = t.doc
	properties, _ := schema["properties"].(map[string]any)
	properties["type"] = map[string]any{"const": t.name}
	ports := map[string]any{}
	for _, port := range element.Ports() {
		ports[port] = map[string]any{"type": "string", "description": "Element that follows the outcome " + port + "; none ends the run."}
	}
	properties["on"] = map[string]any{
		"type": "object", "properties": ports, "additionalProperties": false, "description": "Which element follows which outcome.",
	}
	return schema
}

// JSONSchema allows a keyword or a list.
func (k *Keywords) JSONSchema() map[string]any {
	return map[string]any{"anyOf": []any{
		map[string]any{"type": "string"},
		map[string]any{"type": "array", "items": map[string]any{"type": "string"}, "minItems": 1, "maxItems": maxWords},
	}}
}

// JSONSchema allows constants and ${…}.
func (s *Setting) JSONSchema() map[string]any {
	return map[string]any{"type": []any{"string", "number", "boolean", "null"}}
}

// JSONSchema allows percentages.
func (s *Share) JSONSchema() map[string]any {
	return map[string]any{"type": "number", "exclusiveMinimum": 0, "maximum": 100}
}

// JSONSchema allows the forms of ParseMoment.
func (m *Moment) JSONSchema() map[string]any {
	return map[string]any{"type": "string", "pattern": `^([0-9]{2}:[0-9]{2}|[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}.*)$`}
}

// JSONSchema describes {max, per}.
func (l *EntryLimit) JSONSchema() map[string]any { return strict.Subschema(entryLimitOptions{}) }
