// Package compose makes the MIME form of an e-mail (RFC 5322, RFC 2045–2049,
// RFC 2387): text and HTML as alternatives, images within the HTML, files beside it.
//
// It owns the headers, and refuses what could forge one. The same message gives the
// same octets each time, so that an attempt that is made again is the same mail to
// whoever gets both. It signs nothing and knows nothing of transport.
package compose
