// Package strict reads configuration and flow files: YAML 1.2, or JSON, straight
// into the structs that run. It reports everything that is wrong at once, each
// finding with file, line, column, the offending text and what would be right,
// and it makes the JSON Schema of the same structs for editors.
//
// Struct tags say what a file may hold:
//
//	yaml:"name"     the key; yaml:",inline" on an embedded struct takes its keys over
//	doc:"…"         what the key means; shown in errors and in the schema
//	required:"true" the key has to be there, and a text not to be empty
//	default:"…"     value of a key that is left out, also in nested structs
//	enum:"a,b"      the texts that are allowed
//	secret:"true"   the text is not repeated in errors
//	pattern:"…"     regular expression (RE2) that a text has to match
//	min:"…" max:"…" bounds: of a number, of a duration, of the characters of a
//	                text, of the items of a list or map
//
// Left out on purpose: anchors, aliases, merge keys, tags, directives, several
// documents in a file, and words like yes and on for true. The package knows
// nothing of the product.
package strict
