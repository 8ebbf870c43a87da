//go:build !unix

package main

func freeBytes(string) (uint64, error) { return 0, errUnknown }

func openFiles() (uint64, error) { return 0, errUnknown }
