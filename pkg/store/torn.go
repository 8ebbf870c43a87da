package store

import "errors"

// TornError is an ErrTorn that says how the slot was found.
type TornError struct {
	Part    string // the hash that is missing or differs, for operators
	Markers Markers
}

// Markers stand for all markers of a slot, and its version, at one moment. They are the store's own, and compared for equality alone.
type Markers string

// Error implements error.
func (e *TornError) Error() string { return ErrTorn.Error() + ": " + e.Part }

// Unwrap makes it an ErrTorn.
func (e *TornError) Unwrap() error { return ErrTorn }

// MarkersOf returns the markers that an error of Claim or of Intact found. Other errors have none.
func MarkersOf(err error) Markers {
	if torn := new(TornError); errors.As(err, &torn) {
		return torn.Markers
	}
	return ""
}
