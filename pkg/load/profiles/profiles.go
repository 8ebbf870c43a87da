// Package profiles holds loads that are known by name. Each is a YAML file of
// flags of `producer load`: copy one and name the copy, as in --profile=./mine.yaml.
package profiles

import "embed"

// FS holds the profiles, as NAME.yaml.
//
//go:embed *.yaml
var FS embed.FS
