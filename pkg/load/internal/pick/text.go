package pick

// MarshalText is String, for JSON.
func (d Distribution) MarshalText() ([]byte, error) { return []byte(d.String()), nil }
