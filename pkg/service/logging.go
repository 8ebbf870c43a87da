package service

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"reflect"
	"runtime/debug"
	"strings"
	"time"
	"unicode"

	"example.com/lockstep/pkg/address"
	"golang.org/x/term"
)

// NewLogger returns a logger to out, usually os.Stderr, in the level and format of
// cfg. Each line carries the service's name and the app.
func NewLogger(name string, cfg Config, out io.Writer) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(cfg.LogLevel)); err != nil {
		level = slog.LevelInfo
	}
	opts := &slog.HandlerOptions{Level: level}
	var handler slog.Handler = slog.NewJSONHandler(out, opts)
	if cfg.LogFormat == "text" || cfg.LogFormat != "json" && IsTerminal(out) {
		handler = slog.NewTextHandler(out, opts)
	}
	return slog.New(handler).With("service", name, appFlag, cfg.App)
}

const appFlag = "app"

// IsTerminal tells whether a program's input or output is a terminal.
func IsTerminal(f any) bool {
	file, ok := f.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// LogConfig logs a service's version, commit and configuration as one line: every flag in cli, a parsed struct or a pointer to one,
// by its name. It leaves out the app, which every line of NewLogger's has. Passwords in addresses are masked, and so is a field with the tag secret:"".
func LogConfig(log *slog.Logger, cli any) {
	attrs := []any{slog.String("version", version), slog.String("commit", commitOf(debug.ReadBuildInfo))}
	log.Info("configuration", append(attrs, flags(reflect.Indirect(reflect.ValueOf(cli)), "")...)...)
}

func flags(v reflect.Value, prefix string) []any {
	var attrs []any
	for i := range v.NumField() {
		field, value := v.Type().Field(i), v.Field(i)
		tag := field.Tag
		_, command := tag.Lookup("cmd")
		_, hidden := tag.Lookup("secret")
		_, embedded := tag.Lookup("embed")
		switch {
		case command || tag.Get("kong") == "-" || !field.IsExported() && !field.Anonymous:
		case value.Kind() == reflect.Struct && (field.Anonymous || embedded):
			attrs = append(attrs, flags(value, prefix+tag.Get("prefix"))...)
		case value.Kind() == reflect.Interface && embedded:
			attrs = append(attrs, flags(reflect.Indirect(value.Elem()), prefix+tag.Get("prefix"))...)
		case field.IsExported():
			name := tag.Get("name")
			if name == "" {
				name = kebab(field.Name)
			}
			if name = prefix + name; name != appFlag {
				attrs = append(attrs, slog.String(name, shown(value.Interface(), hidden)))
			}
		}
	}
	return attrs
}

// shown returns a flag's value as the log may show it.
func shown(value any, secret bool) string {
	var text string
	switch v := value.(type) {
	case time.Duration:
		text = v.String()
	case []string:
		list := make([]string, len(v))
		for i, one := range v {
			list[i] = shown(one, secret)
		}
		return strings.Join(list, " ")
	default:
		text = fmt.Sprint(v)
	}
	if secret && text != "" {
		return address.Masked
	}
	return address.Mask(text)
}

// kebab turns a field's name into its flag's: StopTimeout into stop-timeout.
func kebab(name string) string {
	var out strings.Builder
	runes := []rune(name)
	for i, r := range runes {
		starts := i > 0 && unicode.IsUpper(r) &&
			(unicode.IsLower(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1]))
		if starts {
			out.WriteByte('-')
		}
		out.WriteRune(unicode.ToLower(r))
	}
	return out.String()
}
