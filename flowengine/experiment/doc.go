// Package experiment judges A/B tests (rule P6): how well each branch of a split
// converts, whether one is better than the others by a test that may be looked
// at any time, and whether the split itself works as planned.
//
// It sees counts of persons alone and knows no flow, no clock and no chance.
package experiment
