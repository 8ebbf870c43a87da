package service

import (
	"fmt"
	"io"
	"reflect"
	"strings"
	"time"

	"github.com/alecthomas/kong"
)

// ConfigurationCommand is a command that every program has, and that its help does not list: it prints the program's section of
// docs/configuration.md.
const ConfigurationCommand = "configuration"

// ConfigurationNames are the app's name and the prefix of environment variables as docs/configuration.md has them, so that it is
// the same in every fork.
func ConfigurationNames() (app, prefix string) { return "<app>", "<APP>" }

// printConfiguration is the command configuration of a service.
func printConfiguration(w io.Writer, name, description string, cli any, opts []kong.Option) error {
	app, prefix := ConfigurationNames()
	names := kong.Vars{"app": app, "env": prefix} // once more: a service's own options may set its app's name
	parser, err := kong.New(cli, append(grammar(name, description, app, prefix, opts), names)...)
	if err != nil {
		return fmt.Errorf("read the flags of %s: %w", name, err)
	}
	return WriteConfiguration(w, parser.Model)
}

// WriteConfiguration writes in Markdown, for each command of a program that is not hidden, its flags: environment variable, type,
// default and help.
func WriteConfiguration(w io.Writer, program *kong.Application) error {
	var text strings.Builder
	fmt.Fprintf(&text, "## `%s`\n\n%s\n", program.Name, escaped.Replace(program.Help))
	for _, command := range program.Leaves(true) {
		writeCommand(&text, command)
	}
	_, err := io.WriteString(w, text.String())
	return err
}

func writeCommand(text *strings.Builder, command *kong.Node) {
	arguments := ""
	for _, argument := range command.Positional {
		arguments += " " + argument.Summary()
	}
	fmt.Fprintf(text, "\n### `%s%s`\n\n%s\n", command.FullPath(), arguments, command.Help)
	rows := ""
	for _, group := range command.AllFlags(true) {
		for _, flag := range group {
			if flag.Name != "help" && flag.Name != "version" {
				rows += row(flag)
			}
		}
	}
	if rows != "" {
		fmt.Fprintf(text, "\n| flag | environment | type | default | help |\n|---|---|---|---|---|\n%s", rows)
	}
}

// escaped is text in which Markdown and a table's cells have no meaning.
var escaped = strings.NewReplacer("|", `\|`, "<", "&lt;", "*", `\*`, "\n", " ")

func row(flag *kong.Flag) string {
	help := escaped.Replace(flag.Help)
	return fmt.Sprintf("| `--%s` | %s | %s | %s | %s |\n", flag.Name, code(strings.Join(flag.Envs, ", ")), typeOf(flag), code(flag.Default), help)
}

// code shows a word as it is typed, within a table.
func code(word string) string {
	if word == "" {
		return ""
	}
	return "`" + strings.ReplaceAll(word, "|", `\|`) + "`"
}

// typeOf names what a flag takes.
func typeOf(flag *kong.Flag) string {
	if flag.Enum != "" {
		return strings.Join(flag.EnumSlice(), ", ")
	}
	t := flag.Target.Type()
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() == reflect.Slice {
		return "text, repeatable"
	}
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return "duration"
	case t == reflect.TypeFor[Bytes]():
		return "size"
	case flag.IsBool():
		return "switch"
	}
	switch t.Kind() {
	case reflect.Int, reflect.Int64, reflect.Uint, reflect.Uint64, reflect.Float64:
		return "number"
	default:
		return "text"
	}
}

// grammar is what every service's parser has in common.
func grammar(name, description, app, prefix string, opts []kong.Option) []kong.Option {
	return append([]kong.Option{
		kong.Name(name),
		kong.Description(description),
		kong.DefaultEnvars(prefix),
		kong.Vars{"app": app, "env": prefix},
	}, opts...)
}
