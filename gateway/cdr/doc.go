// Package cdr shows records of calls to other systems: as lines of JSON and as
// CSV, streamed or in files of a folder that are rotated.
//
// It knows the outer form of a record and files. It refuses to know where
// records come from: a [Source] gives them in the order in which they were closed.
package cdr
