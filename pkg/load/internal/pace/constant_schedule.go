package pace

// Constant returns the schedule of one rate, in events per second, from 1 to MaxRate.
func Constant(rate uint64) Schedule { return Schedule{kind: kindConstant, rates: []uint64{rate}} }

// Constant tells whether the rate stays.
func (s Schedule) Constant() bool { return s.kind == kindConstant }

// MarshalText is String, for JSON.
func (s Schedule) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
