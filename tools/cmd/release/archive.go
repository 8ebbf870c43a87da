package main

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path"
	"path/filepath"
)

// documents go into each archive, if the repository has them.
var documents = []string{"LICENSE", "NOTICE", "README.md", "CHANGELOG.md"}

// pack writes an archive of one folder: the programs in bin, and the documents.
func (r *release) pack(file, folder, bin string) (err error) {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	zipped := gzip.NewWriter(f)
	archive := tar.NewWriter(zipped)
	programs, err := os.ReadDir(bin)
	if err != nil {
		return err
	}
	for _, p := range programs {
		if err := r.add(archive, folder, filepath.Join(bin, p.Name()), 0o755); err != nil {
			return err
		}
	}
	for _, d := range documents {
		err := r.add(archive, folder, filepath.Join(r.root, d), 0o644)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return errors.Join(archive.Close(), zipped.Close())
}

// add adds a file to an archive's folder. The entry tells nothing of this machine: not its users, nor when it built.
func (r *release) add(archive *tar.Writer, folder, file string, mode int64) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	header := &tar.Header{Name: path.Join(folder, info.Name()), Mode: mode, Size: info.Size(), ModTime: r.made, Format: tar.FormatUSTAR}
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	_, err = io.Copy(archive, f)
	return err
}
