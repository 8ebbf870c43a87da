package redis

// NewWith is New with scripts that are changed by prepare.
var NewWith = newStore
