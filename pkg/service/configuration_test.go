package service

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

type described struct {
	Run struct {
		App   string         `default:"${app}" help:"Its name."`
		Limit Bytes          `default:"64MiB" help:"Of all, as in a|b."`
		Wait  *time.Duration `help:"How long."`
		Mode  string         `enum:"fast,slow" default:"fast" help:"How."`
		Names []string       `help:"Who."`
		On    bool           `help:"Whether."`
		Own   string         `env:"${env}_OTHER" hidden:"" help:"Not shown."`
	} `cmd:"" default:"withargs" help:"Runs (the default)."`
	Show struct {
		Key string `arg:"" help:"The key."`
	} `cmd:"" help:"Shows."`
	Secret struct{} `cmd:"" hidden:"" help:"Not shown."`
}

// The same text in every fork: neither the app's name nor the prefix of the environment is in it.
func TestConfigurationCommand(t *testing.T) {
	var out, errOut bytes.Buffer
	require.Zero(t, run(&out, &errOut, "shop", "Sells.", new(described), []string{ConfigurationCommand}), errOut.String())
	require.Equal(t, "## `shop`\n\nSells.\n"+
		"\n### `shop run`\n\nRuns (the default).\n"+
		"\n| flag | environment | type | default | help |\n|---|---|---|---|---|\n"+
		"| `--app` | `<APP>_APP` | text | `<app>` | Its name. |\n"+
		"| `--limit` | `<APP>_LIMIT` | size | `64MiB` | Of all, as in a\\|b. |\n"+
		"| `--wait` | `<APP>_WAIT` | duration |  | How long. |\n"+
		"| `--mode` | `<APP>_MODE` | fast, slow | `fast` | How. |\n"+
		"| `--names` | `<APP>_NAMES` | text, repeatable |  | Who. |\n"+
		"| `--on` | `<APP>_ON` | switch |  | Whether. |\n"+
		"\n### `shop show <key>`\n\nShows.\n", out.String())
}
