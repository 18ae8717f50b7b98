// Package tariff says what messages and calls cost (rules C1–C4): exact money,
// rows of prices by destination and time, and the reader of tariff files.
//
// A destination without a row has an unknown cost, which is never 0. The
// package knows no carrier, no message and no clock.
package tariff
