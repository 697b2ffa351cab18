package journal

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"strconv"

	"github.com/ktrdr/kinfra/engine/event"
)

// Version is that of a journal in which each line carries a hash over itself and the hash of
// the line before. In version 1, which can still be read, lines have none.
const Version = 2

// link is the hash of a line: the first 64 bits of a SHA-256, in hexadecimal digits. It is
// there against disks and hands that slip, not against somebody who makes it anew.
type link [16]byte

// origin stands in for the hash of the line before the first one.
var origin = link([]byte("kinfra journal 2"))

// The hash is the last field of its line.
const (
	durableField = `,"durable":`

	hashField = `,"hash":"`
	hashEnd   = `"}`
	hashSize  = len(hashField) + len(link{}) + len(hashEnd)
)

func hashOf(data []byte) link {
	sum := sha256.Sum256(data)
	var l link
	hex.Encode(l[:], sum[:len(l)/2])
	return l
}

// stamps are what the journal adds to an event.
type stamps struct {
	durable int  // how many lines are known to be; 0 for nothing new
	scripts link // the hash of the scripts; zero for none
}

// chained makes the line of an event in memory that is used again. It stands there behind
// the hash of the line before, which is no part of it.
func chained(memory []byte, before link, e *event.Event, s stamps) (line []byte, hash link, err error) {
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
