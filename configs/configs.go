// Package configs holds the ready-to-use configuration that ships inside the
// binary: the example that `trunkline run` starts without a file, and the JSON
// Schemas that give editors completion. It knows nothing of the product; package
// strict below it is the decoder of configuration files.
package configs

import (
	"embed"
	"io/fs"
)

//go:embed example schemas
var files embed.FS

// Example is the example configuration; its main file is trunkline.yaml.
func Example() fs.FS { return sub("example") }

// Schemas holds one JSON Schema (draft 2020-12) per kind of file.
func Schemas() fs.FS { return sub("schemas") }

func sub(dir string) fs.FS {
	f, err := fs.Sub(files, dir)
	if err != nil {
		panic(err) // the names are constants
	}
	return f
}
