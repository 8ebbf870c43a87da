package report

import "io"

// WriteHTML is a stub.
func (r Report) WriteHTML(w io.Writer) error { return nil }
