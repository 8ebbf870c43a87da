package expect

// MarshalText is String, for JSON.
func (c Content) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// MarshalText is String, for JSON; empty if none was given.
func (s Size) MarshalText() ([]byte, error) {
	if s == (Size{}) {
		return nil, nil
	}
	return []byte(s.String()), nil
}
