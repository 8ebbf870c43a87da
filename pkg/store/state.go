package store

import (
	"encoding/binary"
	"errors"

	"github.com/cespare/xxhash/v2"
)

// A stored state is a key's Proof, followed by the Envelope that the application's handler made.

// Proof says which events made a key's state. The platform computes it, not the handler, whose state may be anything. Two with the
// same Count and Chain were made by the same payloads in the same order.
type Proof struct {
	Count   uint64 // events applied to the key, counted from where its state began
	Chain   uint64 // of their payloads
	Dropped uint64 // events of the key that were given up by the handler or an operator
}

// Apply returns the proof of a state to which one more payload was applied: the chain becomes the xxhash64 of the chain before,
// as 8 bytes in big endian, and the payload.
func (p Proof) Apply(payload []byte) Proof {
	var d xxhash.Digest
	d.Reset()
	var before [8]byte
	binary.BigEndian.PutUint64(before[:], p.Chain)
	_, _ = d.Write(before[:]) // never fails
	_, _ = d.Write(payload)
	return Proof{Count: p.Count + 1, Chain: d.Sum64(), Dropped: p.Dropped}
}

// Append encodes p: the count as a varint, the chain as 8 bytes in big endian, the dropped events as a varint.
func (p Proof) Append(b []byte) []byte {
	b = binary.AppendUvarint(b, p.Count)
	b = binary.BigEndian.AppendUint64(b, p.Chain)
	return binary.AppendUvarint(b, p.Dropped)
}

// SplitState splits a stored state into its proof and its envelope, which points into stored.
func SplitState(stored []byte) (p Proof, envelope []byte, err error) {
	count, n := binary.Uvarint(stored)
	if n <= 0 || len(stored) < n+8 {
		return Proof{}, nil, errors.New("stored state has no count and chain of its events")
	}
	b := stored[n:]
	chain := binary.BigEndian.Uint64(b)
	dropped, n := binary.Uvarint(b[8:])
	if n <= 0 {
		return Proof{}, nil, errors.New("stored state has no number of dropped events")
	}
	return Proof{Count: count, Chain: chain, Dropped: dropped}, b[8+n:], nil
}

// Envelope is a stored state: how it is encoded, and its bytes.
type Envelope struct {
	Codec  uint64 // 1: JSON; from 64 on: the application's own
	Schema uint64 // of the application's type
	Data   []byte
}

// CodecJSON is the codec of an envelope that holds JSON.
const CodecJSON = 1

// Append encodes e: codec and schema as varints, then the bytes.
func (e Envelope) Append(b []byte) []byte {
	b = binary.AppendUvarint(b, e.Codec)
	b = binary.AppendUvarint(b, e.Schema)
	return append(b, e.Data...)
}

// DecodeEnvelope reads an envelope. Its Data points into b.
func DecodeEnvelope(b []byte) (Envelope, error) {
	codec, n := binary.Uvarint(b)
	if n <= 0 {
		return Envelope{}, errors.New("stored state has no codec")
	}
	schema, m := binary.Uvarint(b[n:])
	if m <= 0 {
		return Envelope{}, errors.New("stored state has no schema version")
	}
	return Envelope{Codec: codec, Schema: schema, Data: b[n+m:]}, nil
}
