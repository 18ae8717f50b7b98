package storage

import (
	"encoding/binary"
	"hash/crc32"
	"slices"
)

// SecondBlock returns where the second block of a backup begins.
func SecondBlock(data []byte) int {
	first := data[backupHeaderBytes:]
	return backupHeaderBytes + blockHeaderBytes + int(binary.BigEndian.Uint32(first[5:])) + crc32.Size
}

// NewerVersion returns the backup as a newer version of the format.
func NewerVersion(data []byte) []byte {
	header := binary.BigEndian.AppendUint32([]byte(backupMagic), backupVersion+1)
	return slices.Concat(appendSum(header), data[backupHeaderBytes:])
}
