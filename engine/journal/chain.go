package journal

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash/crc64"
	"strconv"

	"github.com/ktrdr/kinfra/engine/event"
)

// Version is that of a journal in which each line carries a hash over itself and the hash of
// the line before, a CRC-64. In version 2 it was a part of a SHA-256, in version 1 lines had
// none. Both can still be read, and gone on with.
const Version = 3

// link is a hash of 64 bits, in hexadecimal digits. It is there against disks and hands that
// slip, not against somebody who makes it anew.
type link [16]byte

// linker makes the hash of a line, with the hash of the line before in front of it.
type linker func(data []byte) link

// linkerOf is that of a journal by its version. A journal of version 1 that was resumed has
// the hashes of version 2 from there on.
func linkerOf(version int) linker {
	if version == Version {
		return checksum
	}
	return digest
}

// checksum is the CRC-64 of ECMA-182. Of all changes it misses one in 2^64, and none within
// 64 bits. That of Castagnoli is faster, but its tables take longer to make than a run has.
func checksum(data []byte) link {
	var sum [8]byte
	binary.BigEndian.PutUint64(sum[:], crc64.Checksum(data, crc64.MakeTable(crc64.ECMA)))
	return inHex(sum[:])
}

// digest is the beginning of a SHA-256. Files are named by it.
func digest(data []byte) link {
	sum := sha256.Sum256(data)
	return inHex(sum[:8])
}

func inHex(sum []byte) (l link) {
	hex.Encode(l[:], sum)
	return l
}

// origin stands in for the hash of the line before the first one.
var origin = link([]byte("kinfra journal 2"))

// The hash is the last field of its line.
const (
	durableField = `,"durable":`

	hashField = `,"hash":"`
	hashEnd   = `"}`
	hashSize  = len(hashField) + len(link{}) + len(hashEnd)
)

// stamps are what the journal adds to an event.
type stamps struct {
	durable int  // how many lines are known to be; 0 for nothing new
	scripts link // the hash of the scripts; zero for none
}

// line makes the line of an event in memory that is used again. It stands there behind
// the hash of the line before, which is no part of it.
func (hashOf linker) line(memory []byte, before link, e *event.Event, s stamps) (line []byte, hash link, err error) {
	b, err := event.AppendLine(append(memory[:0], before[:]...), e)
	if err != nil {
		return nil, link{}, err
	}
	b = bytes.TrimSuffix(b, []byte("}\n"))
	if s.durable > 0 {
		b = strconv.AppendInt(append(b, durableField...), int64(s.durable), 10)
	}
	if s.scripts != (link{}) {
		b = append(append(append(b, `,"scripts":"`...), s.scripts[:]...), '"')
	}
	hash = hashOf(b)
	b = append(append(append(b, hashField...), hash[:]...), hashEnd+"\n"...)
	return b, hash, nil
}

// hashIn is the hash that a line, without its end, carries.
func hashIn(line []byte) (hash link, ok bool) {
	at := len(line) - hashSize
	if at < 0 || string(line[at:at+len(hashField)]) != hashField || !bytes.HasSuffix(line, []byte(hashEnd)) {
		return link{}, false
	}
	return link(line[at+len(hashField):]), true
}
