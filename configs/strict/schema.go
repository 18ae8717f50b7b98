package strict

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strconv"
)

// SchemaProvider is a type that describes itself, as one that reads itself has
// to. The result is a JSON Schema; nil allows everything.
type SchemaProvider interface{ JSONSchema() map[string]any }

// SchemaOptions say what is written around a schema.
type SchemaOptions struct {
	ID          string // $id: the address under which it is published
	Title       string
	Description string
	// References allows ${env:NAME} and ${file:path} for values that are no text.
	References bool
}

// Schema is the JSON Schema (draft 2020-12) of the files that decode into the
// type of v.
func Schema(v any, o SchemaOptions) map[string]any {
	s := schemas{plans: plans{}, references: o.References}
	schema := s.of(reflect.TypeOf(v))
	schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	for key, text := range map[string]string{"$id": o.ID, "title": o.Title, "description": o.Description} {
		if text != "" {
			schema[key] = text
		}
	}
	return schema
}

// Subschema is the schema of a type that is part of a larger one.
func Subschema(v any) map[string]any {
	s := schemas{plans: plans{}}
	return s.of(reflect.TypeOf(v))
}

// SchemaText writes a schema with sorted keys and two spaces of indentation.
func SchemaText(schema map[string]any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(schema)
	return b.Bytes(), err
}

// schemas makes schemas of types.
type schemas struct {
	plans      plans
	references bool
	open       []reflect.Type // structs that the current one is inside of
}

const (
	durationPattern  = `^(0|([0-9]+(\.[0-9]*)?|\.[0-9]+)(w|d|h|m|s|ms|us|µs|ns)(([0-9]+(\.[0-9]*)?|\.[0-9]+)(w|d|h|m|s|ms|us|µs|ns))*)$`
	prefixPattern    = `^[0-9A-Fa-f.:]+(/[0-9]{1,3})?$`
	referencePattern = `\$\{(env|file):[^}]+\}`
)

func (s *schemas) of(t reflect.Type) map[string]any {
	if t.Kind() == reflect.Pointer {
		return s.of(t.Elem())
	}
	if p, ok := reflect.New(t).Interface().(SchemaProvider); ok {
		if schema := p.JSONSchema(); schema != nil {
			return schema
		}
		return map[string]any{}
	}
	switch {
	case t == durationType:
		return s.orReference(map[string]any{"anyOf": []any{
			map[string]any{"type": "string", "pattern": durationPattern}, map[string]any{"const": 0},
		}})
	case t == prefixType:
		return s.orReference(map[string]any{"type": "string", "pattern": prefixPattern})
	case reflect.PointerTo(t).Implements(unmarshalerType):
		return map[string]any{}
	case reflect.PointerTo(t).Implements(textUnmarshalerType):
		return map[string]any{"type": []any{"string", "number", "boolean"}}
	}
	switch t.Kind() {
	case reflect.Struct:
		return s.object(t)
	case reflect.Slice:
		return map[string]any{"type": "array", "items": s.of(t.Elem())}
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": s.of(t.Elem())}
	case reflect.String:
		return map[string]any{"type": "string"}
	case reflect.Bool:
		return s.orReference(map[string]any{"type": "boolean"})
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return s.orReference(map[string]any{"type": "integer"})
	case reflect.Float32, reflect.Float64:
		return s.orReference(map[string]any{"type": "number"})
	}
	return map[string]any{}
}

// orReference allows a reference in the place of what is no text.
func (s *schemas) orReference(schema map[string]any) map[string]any {
	if !s.references {
		return schema
	}
	return map[string]any{"anyOf": []any{schema, map[string]any{"type": "string", "pattern": referencePattern}}}
}

func (s *schemas) object(t reflect.Type) map[string]any {
	for _, outer := range s.open {
		if outer == t { // a type within itself is not followed
			return map[string]any{"type": "object"}
		}
	}
	s.open = append(s.open, t)
	properties, required := map[string]any{}, []any{}
	for _, f := range s.plans.of(t) {
		properties[f.name] = s.property(f)
		if f.required {
			required = append(required, f.name)
		}
	}
	s.open = s.open[:len(s.open)-1]
	object := map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		object["required"] = required
	}
	return object
}

// property is the schema of a key: that of its type and what the tags add.
func (s *schemas) property(f field) map[string]any {
	schema := s.of(f.typ)
	target := schema // what the tags are about
	if options, ok := schema["anyOf"].([]any); ok && s.references {
		target, _ = options[0].(map[string]any)
	}
	if items, ok := schema["items"].(map[string]any); ok && f.base().Kind() == reflect.Slice {
		s.text(f, items)
	} else {
		s.text(f, target)
	}
	s.bounds(f, target)
	if f.required && f.base().Kind() == reflect.String && target["minLength"] == nil && target["type"] == "string" {
		target["minLength"] = 1
	}
	if f.doc != "" {
		schema["description"] = f.doc
	}
	if f.initial != nil {
		schema["default"] = f.initialValue()
	}
	return schema
}

// text adds enum and pattern.
func (s *schemas) text(f field, to map[string]any) {
	if len(f.enum) > 0 {
		values := make([]any, len(f.enum))
		for i, v := range f.enum {
			values[i] = v
		}
		to["enum"] = values
	}
	if f.pattern != nil {
		to["pattern"] = f.pattern.String()
	}
	if s.references && (len(f.enum) > 0 || f.pattern != nil) {
		own := map[string]any{"type": to["type"]}
		for _, key := range []string{"enum", "pattern"} {
			if to[key] != nil {
				own[key] = to[key]
				delete(to, key)
			}
		}
		to["anyOf"] = []any{own, map[string]any{"type": "string", "pattern": referencePattern}}
	}
}

// bounds adds min and max in the words of the type. JSON Schema cannot say how
// long a duration is, nor how long a text will be that is filled in.
func (s *schemas) bounds(f field, to map[string]any) {
	base := f.base()
	low, high := "minimum", "maximum"
	switch {
	case base == durationType:
		return
	case base.Kind() == reflect.String && s.references:
		return
	case base.Kind() == reflect.String:
		low, high = "minLength", "maxLength"
	case base.Kind() == reflect.Slice:
		low, high = "minItems", "maxItems"
	case base.Kind() == reflect.Map:
		low, high = "minProperties", "maxProperties"
	}
	for key, text := range map[string]string{low: f.low, high: f.top} {
		if text != "" {
			to[key] = json.Number(text)
		}
	}
}

// initialValue is the default in the type that a file has it in.
func (f *field) initialValue() any {
	base := f.base()
	switch {
	case base.Kind() == reflect.Bool:
		b, _ := strconv.ParseBool(*f.initial)
		return b
	case base != durationType && plainKind(*f.initial) == Number && base.Kind() != reflect.String:
		return json.Number(*f.initial)
	}
	return *f.initial
}
