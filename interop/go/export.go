// An exported ledger in C2SP tlog-tiles form, hashed again in full by golang.org/x/mod/sumdb/tlog.
package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"

	checkpoint "github.com/transparency-dev/formats/log"
	"golang.org/x/mod/sumdb/tlog"
)

// tileHeight is that of C2SP: 256 hashes.
const tileHeight = 8

// files of an export by path.
type files map[string][]byte

// verified is an export that held.
type verified struct {
	size    int64
	root    tlog.Hash
	entries [][]byte
	hashes  hashes
	files   files
	ring    *ring
}

// hashes are all complete subtrees in Go's order.
type hashes []tlog.Hash

func (h hashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	var found []tlog.Hash
	for _, index := range indexes {
		if index >= int64(len(h)) {
			return nil, fmt.Errorf("no stored hash %d", index)
		}
		found = append(found, h[index])
	}
	return found, nil
}

func readExport(folder string) (files, error) {
	found := files{}
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(folder, path)
		if err == nil {
			found[filepath.ToSlash(name)], err = os.ReadFile(path)
		}
		return err
	})
	return found, err
}

// c2spPath is a tile's path as C2SP has it. Go's checksum database writes the height into it and calls
// entries data; the numbering is the same.
func c2spPath(tile tlog.Tile) string {
	path := tile.Path()
	if rest, ok := strings.CutPrefix(path, "tile/8/data/"); ok {
		return "tile/entries/" + rest
	}
	return "tile/" + strings.TrimPrefix(path, "tile/8/")
}

// claims reads size and root, which nobody has vouched for yet.
func claims(found files) (*checkpoint.Checkpoint, error) {
	note, ok := found["checkpoint"]
	if !ok {
		return nil, errors.New("file checkpoint is missing")
	}
	var claimed checkpoint.Checkpoint
	if _, err := claimed.Unmarshal(note); err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	if claimed.Size == 0 || claimed.Size > 1<<40 || len(claimed.Hash) != tlog.HashSize {
		return nil, errors.New("checkpoint: no tree that can be exported")
	}
	return &claimed, nil
}

// verifyExport accounts for every byte: the entries hash to the tiles and to the root, the root is signed
// by log and witnesses, and there is no other file.
func verifyExport(found files, trust *anchor) (*verified, error) {
	claimed, err := claims(found)
	if err != nil {
		return nil, err
	}
	if claimed.Origin != trust.origin {
		return nil, fmt.Errorf("checkpoint: of log %q", claimed.Origin)
	}
	v := &verified{size: int64(claimed.Size), files: found, ring: newRing(trust)}
	copy(v.root[:], claimed.Hash)
	expected := map[string]bool{"checkpoint": true}
	if err := v.takeEntries(expected); err != nil {
		return nil, err
	}
	if err := v.compareTiles(expected); err != nil {
		return nil, err
	}
	for path := range found {
		if !expected[path] {
			return nil, fmt.Errorf("file %s does not belong to a tree of %d entries", path, v.size)
		}
	}
	root, err := tlog.TreeHash(v.size, v.hashes)
	if err != nil {
		return nil, err
	}
	if root != v.root {
		return nil, fmt.Errorf("root: the entries hash to %v, the checkpoint says %v", root, v.root)
	}
	for index, entry := range v.entries {
		if err := v.takeRotation(entry); err != nil {
			return nil, fmt.Errorf("entry %d: %w", index, err)
		}
	}
	if _, err := v.ring.openCheckpoint(found["checkpoint"]); err != nil {
		return nil, err
	}
	return v, nil
}

func (v *verified) takeEntries(expected map[string]bool) error {
	for first := int64(0); first < v.size; first += 1 << tileHeight {
		tile := tlog.Tile{H: tileHeight, L: -1, N: first >> tileHeight, W: int(min(v.size-first, 1<<tileHeight))}
		path := c2spPath(tile)
		bundle, ok := v.files[path]
		if !ok {
			return fmt.Errorf("file %s is missing", path)
		}
		expected[path] = true
		entries, err := parseBundle(bundle, tile.W)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		for _, entry := range entries {
			stored, err := tlog.StoredHashes(int64(len(v.entries)), entry, v.hashes)
			if err != nil {
				return err
			}
			v.hashes = append(v.hashes, stored...)
			v.entries = append(v.entries, entry)
		}
	}
	return nil
}

// parseBundle cuts a bundle of big-endian uint16 length-prefixed entries.
func parseBundle(bundle []byte, width int) ([][]byte, error) {
	var entries [][]byte
	for len(bundle) > 0 {
		if len(bundle) < 2 || len(bundle)-2 < int(binary.BigEndian.Uint16(bundle)) {
			return nil, errors.New("bundle: ends within an entry")
		}
		end := 2 + int(binary.BigEndian.Uint16(bundle))
		entries = append(entries, bundle[2:end])
		bundle = bundle[end:]
	}
	if len(entries) != width {
		return nil, fmt.Errorf("bundle: %d entries instead of %d", len(entries), width)
	}
	return entries, nil
}

func writeBundle(entries [][]byte) []byte {
	var bundle []byte
	for _, entry := range entries {
		bundle = append(binary.BigEndian.AppendUint16(bundle, uint16(len(entry))), entry...)
	}
	return bundle
}

// compareTiles lets Go make each tile again.
func (v *verified) compareTiles(expected map[string]bool) error {
	for _, tile := range tlog.NewTiles(tileHeight, 0, v.size) {
		path := c2spPath(tile)
		stored, ok := v.files[path]
		if !ok {
			return fmt.Errorf("file %s is missing", path)
		}
		expected[path] = true
		made, err := tlog.ReadTileData(tile, v.hashes)
		if err != nil {
			return err
		}
		if !bytes.Equal(made, stored) {
			return fmt.Errorf("tile: %s differs from what the entries hash to", path)
		}
	}
	return nil
}

func (v *verified) takeRotation(entry []byte) error {
	var event struct {
		Metadata struct {
			Code   string `json:"event_code"`
			Tenant string `json:"tenant_uid"`
		}
		Unmapped struct {
			Mandate struct {
				Details struct{ Statement json.RawMessage }
			}
		}
	}
	if err := json.Unmarshal(entry, &event); err != nil {
		return err
	}
	if event.Metadata.Tenant != v.ring.tenant {
		return fmt.Errorf("of tenant %q", event.Metadata.Tenant)
	}
	if event.Metadata.Code != "key-rotated" {
		return nil
	}
	return v.ring.add(event.Unmapped.Mandate.Details.Statement)
}

// tiles serves the exported tiles to Go's client, which trusts none of them before it has hashed its way
// up to the root.
type tiles struct{ files files }

func (t tiles) Height() int                     { return tileHeight }
func (t tiles) SaveTiles([]tlog.Tile, [][]byte) {}
func (t tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	var data [][]byte
	for _, tile := range wanted {
		file, ok := t.files[c2spPath(tile)]
		if !ok {
			return nil, fmt.Errorf("tile: %s is missing", c2spPath(tile))
		}
		data = append(data, file)
	}
	return data, nil
}

// provenByTiles has Go's client prove each entry out of the tiles alone.
func provenByTiles(v *verified) error {
	reader := tlog.TileHashReader(tlog.Tree{N: v.size, Hash: v.root}, tiles{v.files})
	for index, entry := range v.entries {
		proof, err := tlog.ProveRecord(v.size, int64(index), reader)
		if err != nil {
			return err
		}
		if err := tlog.CheckRecord(proof, v.size, v.root, int64(index), tlog.RecordHash(entry)); err != nil {
			return fmt.Errorf("entry %d: %w", index, err)
		}
	}
	return nil
}

// consistent has Go prove, out of the later tiles, that the earlier tree is its beginning.
func consistent(before, after *verified) error {
	reader := tlog.TileHashReader(tlog.Tree{N: after.size, Hash: after.root}, tiles{after.files})
	proof, err := tlog.ProveTree(after.size, before.size, reader)
	if err != nil {
		return err
	}
	if err := tlog.CheckTree(proof, after.size, after.root, before.size, before.root); err != nil {
		return fmt.Errorf("consistency: %w", err)
	}
	for index, entry := range before.entries {
		if !bytes.Equal(entry, after.entries[index]) {
			return fmt.Errorf("consistency: entry %d was changed", index)
		}
	}
	return nil
}

func (f files) copy() files {
	return maps.Clone(f)
}
