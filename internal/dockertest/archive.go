package dockertest

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
)

// programNames are the names in /bin that the program answers to.
var programNames = []string{"cat", "curl", "env", "pg_isready", "postgres", "serve", "sh", "sleep", "uvicorn", "wget"}

// archive is what `docker load` reads: images that have one layer in common, with the
// program under all its names. Its format is that of `docker save`.
func archive(images []image, binary []byte, arch, version string) ([]byte, error) {
	shared, err := layer(binary)
	if err != nil {
		return nil, err
	}
	type entry struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
	var manifest []entry
	files := []file{{"layer.tar", shared}}
	for _, i := range images {
		config, err := i.config(shared, arch, version)
		if err != nil {
			return nil, err
		}
		name := digest(config) + ".json"
		files = append(files, file{name, config})
		manifest = append(manifest, entry{name, []string{i.Name}, []string{"layer.tar"}})
	}
	data, err := json.Marshal(manifest)
	if err != nil {
		return nil, err
	}
	return tarOf(append(files, file{"manifest.json", data}))
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// config is the image's configuration, as the Docker image specification has it. The
// name is in it, so that each image is one of its own.
func (i image) config(layer []byte, arch, version string) ([]byte, error) {
	return json.Marshal(map[string]any{
		"architecture": arch,
		"os":           "linux",
		"created":      "2026-01-01T00:00:00Z",
		"config": map[string]any{
			"Cmd":    i.Command,
			"Env":    append([]string{"PATH=/bin"}, i.Env...),
			"Labels": map[string]string{label: version, label + ".name": i.Name},
		},
		"rootfs":  map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + digest(layer)}},
		"history": []map[string]string{{"created": "2026-01-01T00:00:00Z", "created_by": "kinfra"}},
	})
}

type file struct {
	name string
	data []byte
}

func tarOf(files []file) ([]byte, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, f := range files {
		if err := w.WriteHeader(&tar.Header{Name: f.name, Mode: 0o644, Size: int64(len(f.data))}); err != nil {
			return nil, err
		}
		if _, err := w.Write(f.data); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return out.Bytes(), err
}

// layer is the file system of the images.
func layer(binary []byte) ([]byte, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	headers := []tar.Header{
		{Name: "bin/", Typeflag: tar.TypeDir, Mode: 0o755},
		{Name: "tmp/", Typeflag: tar.TypeDir, Mode: 0o1777},
		{Name: "bin/fakeservice", Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(binary))},
	}
	for _, name := range programNames {
		headers = append(headers, tar.Header{Name: "bin/" + name, Typeflag: tar.TypeSymlink, Linkname: "fakeservice", Mode: 0o777})
	}
	for _, header := range headers {
		if err := w.WriteHeader(&header); err != nil {
			return nil, err
		}
		if header.Size > 0 {
			if _, err := w.Write(binary); err != nil {
				return nil, err
			}
		}
	}
	err := w.Close()
	return out.Bytes(), err
}
