// Package compare sets two reports side by side.
package compare

import (
	"fmt"
	"io"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"example.com/lockstep/pkg/load/internal/report"
)

// Named is a report and what to call it, such as its file.
type Named struct {
	Name   string
	Report report.Report
}

// Write writes a table of the figures of a and b and their ratios. Before it, it
// says where the loads were made differently: then their figures do not compare.
func Write(out io.Writer, a, b Named) error {
	var text strings.Builder
	fmt.Fprintf(&text, "a: %s\nb: %s\n\n", a.title(), b.title())
	if err := differences(&text, a.Report.Config, b.Report.Config); err != nil {
		return err
	}
	if err := table(&text, a.Report, b.Report); err != nil {
		return err
	}
	_, err := io.WriteString(out, text.String())
	return err
}

// title says which report it is.
func (n Named) title() string {
	out := fmt.Sprintf("%s, run %s of %s", n.Name, n.Report.Config.Run, n.Report.Started.UTC().Format("2006-01-02 15:04:05"))
	if n.Report.Interrupted {
		out += fmt.Sprintf(", interrupted after %.1f s", n.Report.SendingSeconds)
	}
	return out
}

// difference is one thing that two loads were made differently with.
type difference struct{ name, a, b string }

// differences writes where two configurations differ, if they do.
func differences(out io.Writer, a, b report.Config) error {
	found := differ(a, b)
	if len(found) == 0 {
		return nil
	}
	fmt.Fprintln(out, "The loads were made differently, so the figures do not compare:")
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, d := range found {
		fmt.Fprintf(w, "  %s\t%s\t%s\n", d.name, d.a, d.b)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(out)
	return err
}

// differ finds the fields that differ, by their names in JSON. The app and the
// run's id are names, and change nothing.
func differ(a, b report.Config) []difference {
	va, vb := reflect.ValueOf(a), reflect.ValueOf(b)
	var out []difference
	for i := range va.NumField() {
		name, _, _ := strings.Cut(va.Type().Field(i).Tag.Get("json"), ",")
		if slices.Contains([]string{"app", "run", "profile"}, name) {
			continue
		}
		fa, fb := va.Field(i), vb.Field(i)
		if !fa.Equal(fb) {
			out = append(out, difference{strings.ReplaceAll(name, "_", " "), orNone(fa), orNone(fb)})
		}
	}
	return out
}

// orNone writes a field, or a dash if it is empty.
func orNone(v reflect.Value) string {
	if v.IsZero() {
		return "-"
	}
	return fmt.Sprint(v)
}

// table writes the figures.
func table(out io.Writer, a, b report.Report) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, "figure\ta\tb\tb/a\t\n")
	fmt.Fprintf(w, "verdict\t%s\t%s\t-\t\n", a.Verdict, b.Verdict)
	for _, f := range figures() {
		va, okA := f.of(a)
		vb, okB := f.of(b)
		if okA && okB {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t\n", f.name, number(va), number(vb), ratio(va, vb))
		}
	}
	return w.Flush()
}

// number writes a figure to the thousandth.
func number(f float64) string { return strconv.FormatFloat(math.Round(f*1000)/1000, 'f', -1, 64) }

// ratio is b/a, to three digits, or a dash if there is none.
func ratio(a, b float64) string {
	if a == 0 {
		return "-"
	}
	r := b / a
	digits := 2
	if r > 0 && r < 1 {
		digits = min(2-int(math.Floor(math.Log10(r))), 6)
	}
	return strconv.FormatFloat(r, 'f', digits, 64)
}
