package profiles_test

import (
	"fmt"
	"io/fs"
	"log"
	"strings"

	"example.com/lockstep/pkg/load/profiles"
)

// Each profile is a file of flags: copy one to make your own.
func Example() {
	text, err := fs.ReadFile(profiles.FS, "smoke.yaml")
	if err != nil {
		log.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "#") {
			fmt.Print(line)
		}
	}
	// Output:
	// rate: 1000
	// duration: 5s
	// keys: 1000
	// threshold:
	//   - failed==0
	//   - unsent==0
}
