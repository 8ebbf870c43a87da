package appname_test

import (
	"fmt"

	"example.com/lockstep/pkg/appname"
)

// An app's name prefixes subjects, streams, buckets and Redis keys, so it has none of their special characters.
func ExampleCheck() {
	for _, name := range []string{"shop", "shop-2", "my.shop"} {
		fmt.Printf("%s: %v\n", name, appname.Check(name) == nil)
	}
	fmt.Println("an app's name is", appname.Rule)
	// Output:
	// shop: true
	// shop-2: true
	// my.shop: false
	// an app's name is a letter a-z, then at most 30 of a-z, 0-9 and -
}
