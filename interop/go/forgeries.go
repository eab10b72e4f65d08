// What an attacker would try. Each forgery must be refused, and for the reason it is one.
package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// forgeExports alters an export in each way, without and with everything hashed again.
func forgeExports(r *report, late files, trust *anchor, log *verified) {
	forged := func(what, because string, alter func(files)) {
		altered := late.copy()
		alter(altered)
		_, err := verifyExport(altered, trust)
		r.refused(what, because, err)
	}
	flip := func(path string, at int) func(files) {
		return func(f files) {
			altered := bytes.Clone(f[path])
			altered[(at+len(altered))%len(altered)] ^= 1
			f[path] = altered
		}
	}
	tail := log.size % 256
	lastBundle := c2spPath(tlog.Tile{H: tileHeight, L: -1, N: log.size / 256, W: int(tail)})
	lastTile := c2spPath(tlog.Tile{H: tileHeight, L: 0, N: log.size / 256, W: int(tail)})

	forged("a flipped byte in an entry", "tile: ", flip("tile/entries/000", 100))
	forged("a flipped byte in the last entry", "tile: ", flip(lastBundle, -1))
	forged("a flipped byte in a length prefix", "bundle: ", flip("tile/entries/000", 1))
	forged("a flipped byte in a full tile", "tile: ", flip("tile/0/000", 17))
	forged("a flipped byte in a partial tile", "tile: ", flip(lastTile, -1))
	forged("a flipped byte in a tile of the level above", "tile: ", flip("tile/1/000.p/1", 3))
	forged("a file too many", "does not belong", func(f files) { f["tile/0/999"] = f["tile/0/000"] })
	forged("a missing bundle", "is missing", func(f files) { delete(f, lastBundle) })
	forged("a missing tile", "is missing", func(f files) { delete(f, "tile/0/000") })
	forged("a missing checkpoint", "is missing", func(f files) { delete(f, "checkpoint") })
	forged("a bundle cut off within an entry", "bundle: ", func(f files) { f[lastBundle] = f[lastBundle][:len(f[lastBundle])-1] })
	forged("a bundle without its last entry", "bundle: ", func(f files) {
		f[lastBundle] = writeBundle(log.entries[log.size-tail : log.size-1])
	})
	forged("an entry beyond the checkpoint", "bundle: ", func(f files) {
		f[lastBundle] = append(bytes.Clone(f[lastBundle]), writeBundle([][]byte{[]byte("{}")})...)
	})
	forged("a checkpoint of a smaller tree, hashed again", "checkpoint: ", func(f files) {
		replaceTree(f, trust, log.entries[:log.size-1])
	})
	forged("a spliced entry", "tile: ", func(f files) {
		f["tile/entries/000"] = writeBundle(spliced(log.entries)[:256])
	})
	forged("a spliced entry, tiles hashed again", "root: ", func(f files) {
		text := f["checkpoint"]
		replaceTree(f, trust, spliced(log.entries))
		f["checkpoint"] = text
	})
	forged("a spliced entry, tiles and root hashed again", "checkpoint: ", func(f files) {
		replaceTree(f, trust, spliced(log.entries))
	})
	forged("two entries swapped, all hashed again", "checkpoint: ", func(f files) {
		entries := append([][]byte{}, log.entries...)
		entries[10], entries[11] = entries[11], entries[10]
		replaceTree(f, trust, entries)
	})
	forged("a spliced entry, all hashed again and signed by another log and witness", "checkpoint: ", func(f files) {
		text := replaceTree(f, trust, spliced(log.entries))
		f["checkpoint"] = []byte(text + "\n" + logLine(text, trust.origin, attacker, nil) + cosignLine(text, witnessName(trust), attacker, nil, 1_800_000_000))
	})
	forgeSignatures(r, late, trust)
}

// forgeSignatures leaves the tree as it is and touches who signed it.
func forgeSignatures(r *report, late files, trust *anchor) {
	text, lines, _ := strings.Cut(string(late["checkpoint"]), "\n\n")
	text += "\n"
	signed := strings.SplitAfter(lines, "\n")
	logs, witness := signed[0], signed[1]
	forged := func(what, because string, lines ...string) {
		altered := late.copy()
		altered["checkpoint"] = []byte(text + "\n" + strings.Join(lines, ""))
		_, err := verifyExport(altered, trust)
		r.refused(what, because, err)
	}
	forged("a flipped byte in the log's signature", "invalid signature", flipLine(logs, -5), witness)
	forged("a flipped byte in the cosignature", "invalid signature", logs, flipLine(witness, -5))
	forged("a cosignature moved to another time", "invalid signature", logs, flipLine(witness, 11))
	forged("a checkpoint without the witness", "too few witnesses", logs)
	forged("a checkpoint without the log", "not signed by the log", witness)
	forged("a checkpoint signed by nobody known", "no verifiable signatures", logLine(text, "nobody.example", attacker, nil))
	forged("a checkpoint signed by another key of the log's name", "not signed by the log", logLine(text, trust.origin, attacker, nil), witness)
	hash := keyHash(logs)
	forged("a checkpoint signed by another key under the log key's hash", "invalid signature", logLine(text, trust.origin, attacker, hash), witness)
	forged("a cosignature by another key under the witness's hash", "invalid signature", logs, cosignLine(text, witnessName(trust), attacker, keyHash(witness), 1_800_000_000))
	forged("the log as its own witness", "too few witnesses", logs, logs)
	altered := late.copy()
	altered["checkpoint"] = bytes.Replace(late["checkpoint"], []byte("\n"), []byte("x\n"), 1)
	_, err := verifyExport(altered, trust)
	r.refused("a checkpoint of another origin", "of log ", err)
	other := *trust
	other.log, _ = note.NewEd25519VerifierKey(trust.origin, attacker.Public().(ed25519.PublicKey))
	other.first = map[string]ed25519.PublicKey{"log": attacker.Public().(ed25519.PublicKey), "evidence": trust.first["evidence"], "token": trust.first["token"]}
	_, err = verifyExport(late, &other)
	r.refused("a genuine export against another anchor", "key statement: ", err)
}

func forgeConsistency(r *report, before, after *verified) {
	fork := *before
	entries := spliced(before.entries)
	tree := hashed(entries)
	fork.entries = entries
	fork.root, _ = tlog.TreeHash(before.size, tree)
	r.refused("an earlier tree with a spliced entry", "consistency: ", consistent(&fork, after))
	reader := tlog.TileHashReader(tlog.Tree{N: after.size, Hash: after.root}, tiles{after.files})
	proof, err := tlog.ProveTree(after.size, before.size, reader)
	if err != nil || len(proof) == 0 {
		r.failed("a consistency proof to alter", err)
		return
	}
	proof[len(proof)/2][7] ^= 1
	r.refused("a flipped byte in a consistency proof", "invalid transparency proof", tlog.CheckTree(proof, after.size, after.root, before.size, before.root))
	altered := *after
	altered.files = after.files.copy()
	tile := bytes.Clone(altered.files["tile/0/000"])
	tile[40] ^= 1
	altered.files["tile/0/000"] = tile
	r.refused("Go's client over a flipped tile", "inconsistent tile", provenByTiles(&altered))
}

// forgeKeys tries to bring in a log key that predecessor and witness did not both introduce.
func forgeKeys(r *report, late files, trust *anchor, log *verified) {
	genuine := rotations(log.entries)
	if len(genuine) == 0 {
		r.failed("a key rotation to alter", fmt.Errorf("none in the ledger"))
		return
	}
	refused := func(what, because string, alter func(*dsse.Envelope)) {
		var envelope dsse.Envelope
		if err := json.Unmarshal(genuine[0], &envelope); err != nil {
			r.failed(what, err)
			return
		}
		alter(&envelope)
		raw, _ := json.Marshal(envelope)
		r.refused(what, because, newRing(trust).add(raw))
	}
	r.holds("the first key rotation by itself", newRing(trust).add(genuine[0]))
	refused("a key statement without the witness", "witnesses: ", func(e *dsse.Envelope) { e.Signatures = e.Signatures[:1] })
	refused("a key statement without the predecessor", "predecessor: ", func(e *dsse.Envelope) { e.Signatures = e.Signatures[1:] })
	refused("a key statement with the predecessor's signature twice", "witnesses: ", func(e *dsse.Envelope) {
		e.Signatures = []dsse.Signature{e.Signatures[0], e.Signatures[0]}
	})
	refused("a key statement for another key", "predecessor: ", func(e *dsse.Envelope) {
		own := base64.RawURLEncoding.EncodeToString(attacker.Public().(ed25519.PublicKey))
		payload, _ := e.DecodeB64Payload()
		var said map[string]any
		_ = json.Unmarshal(payload, &said)
		said["key"] = own
		payload, _ = json.Marshal(said)
		e.Payload = base64.StdEncoding.EncodeToString(payload)
	})
	ring := newRing(trust)
	_ = ring.add(genuine[0])
	r.refused("the same key statement twice", "does not follow", ring.add(genuine[0]))
}

func forgeProofs(r *report, data string, trust *anchor, log *verified) error {
	file, err := os.ReadFile(filepath.Join(data, "proof-100.json"))
	if err != nil {
		return err
	}
	refused := func(what, because string, alter func(map[string]any)) {
		var proof map[string]any
		_ = json.Unmarshal(file, &proof)
		alter(proof)
		raw, _ := json.Marshal(proof)
		r.refused(what, because, verifyProof(raw, trust, log))
	}
	hash := func(proof map[string]any, at int) []byte {
		bytes, _ := base64.StdEncoding.DecodeString(proof["proof"].([]any)[at].(string))
		return bytes
	}
	refused("a flipped byte in an inclusion proof", "inclusion: ", func(p map[string]any) {
		flipped := hash(p, 0)
		flipped[0] ^= 1
		p["proof"].([]any)[0] = base64.StdEncoding.EncodeToString(flipped)
	})
	refused("an inclusion proof one hash short", "inclusion: ", func(p map[string]any) { p["proof"] = p["proof"].([]any)[1:] })
	refused("an inclusion proof one hash long", "inclusion: ", func(p map[string]any) { p["proof"] = append(p["proof"].([]any), p["proof"].([]any)[0]) })
	refused("an inclusion proof for another place", "inclusion: ", func(p map[string]any) { p["index"] = p["index"].(float64) + 1 })
	refused("an inclusion proof for another entry", "inclusion: ", func(p map[string]any) {
		p["entry"] = base64.StdEncoding.EncodeToString(log.entries[int(p["index"].(float64))+1])
	})
	refused("an inclusion proof with a checkpoint of its own", "checkpoint: ", func(p map[string]any) {
		text, _, _ := strings.Cut(p["checkpoint"].(string), "\n\n")
		p["checkpoint"] = text + "\n\n" + logLine(text+"\n", trust.origin, attacker, nil)
	})
	alone, err := os.ReadFile(filepath.Join(data, "proof-100.tlog-proof"))
	if err != nil {
		return err
	}
	moved := bytes.Replace(alone, []byte("\nindex 100\n"), []byte("\nindex 101\n"), 1)
	r.refused("a tlog-proof for another place", "inclusion: ", verifyTlogProof(moved, trust, log))
	swapped := bytes.Replace(alone, []byte("\nextra "), []byte("\nextra AAAA"), 1)
	r.refused("a tlog-proof with another entry", "inclusion: ", verifyTlogProof(swapped, trust, log))
	genuine, err := os.ReadFile(filepath.Join(data, "passport-later.json"))
	if err != nil {
		return err
	}
	var envelope dsse.Envelope
	if err := json.Unmarshal(genuine, &envelope); err != nil {
		return err
	}
	payload, err := envelope.DecodeB64Payload()
	if err != nil {
		return err
	}
	at := bytes.Index(payload, []byte("checkpoint"))
	payload[at+40] ^= 1
	envelope.Payload = base64.StdEncoding.EncodeToString(payload)
	raw, _ := json.Marshal(envelope)
	r.refused("a flipped byte in a passport", "passport: ", verifyPassport(raw, trust, log))
	return nil
}

// attacker holds a good key that nobody vouched for.
var attacker = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{0x41}, ed25519.SeedSize))

// spliced replaces an entry by another of the same log, changed a little.
func spliced(entries [][]byte) [][]byte {
	changed := append([][]byte{}, entries...)
	changed[20] = bytes.Replace(entries[20], []byte(`"severity_id":1`), []byte(`"severity_id":2`), 1)
	if bytes.Equal(changed[20], entries[20]) {
		changed[20] = entries[19]
	}
	return changed
}

func hashed(entries [][]byte) hashes {
	var made hashes
	for index, entry := range entries {
		stored, err := tlog.StoredHashes(int64(index), entry, made)
		if err != nil {
			panic(err)
		}
		made = append(made, stored...)
	}
	return made
}

// replaceTree makes bundles, tiles and checkpoint again for other entries; who signed stays. Gives the
// checkpoint's text.
func replaceTree(f files, trust *anchor, entries [][]byte) string {
	old := f["checkpoint"]
	for path := range f {
		delete(f, path)
	}
	size, made := int64(len(entries)), hashed(entries)
	for first := int64(0); first < size; first += 256 {
		width := min(size-first, 256)
		tile := tlog.Tile{H: tileHeight, L: -1, N: first / 256, W: int(width)}
		f[c2spPath(tile)] = writeBundle(entries[first : first+width])
	}
	for _, tile := range tlog.NewTiles(tileHeight, 0, size) {
		data, err := tlog.ReadTileData(tile, made)
		if err != nil {
			panic(err)
		}
		f[c2spPath(tile)] = data
	}
	root, err := tlog.TreeHash(size, made)
	if err != nil {
		panic(err)
	}
	text := fmt.Sprintf("%s\n%d\n%s\n", trust.origin, size, root)
	_, lines, _ := bytes.Cut(old, []byte("\n\n"))
	f["checkpoint"] = []byte(text + "\n" + string(lines))
	return text
}

func witnessName(trust *anchor) string {
	name, _, _ := strings.Cut(trust.witnesses[0], "+")
	return name
}

// logLine signs as a log does, under a key hash that may be somebody else's.
func logLine(text, name string, key ed25519.PrivateKey, hash []byte) string {
	return line(name, 0x01, key, hash, ed25519.Sign(key, []byte(text)))
}

func cosignLine(text, name string, key ed25519.PrivateKey, hash []byte, time uint64) string {
	message := fmt.Sprintf("cosignature/v1\ntime %d\n%s", time, text)
	signature := append(binary.BigEndian.AppendUint64(nil, time), ed25519.Sign(key, []byte(message))...)
	return line(name, 0x04, key, hash, signature)
}

func line(name string, kind byte, key ed25519.PrivateKey, hash, signature []byte) string {
	if hash == nil {
		public := key.Public().(ed25519.PublicKey)
		sum := sha256.Sum256(append([]byte(name+"\n"+string(kind)), public...))
		hash = sum[:4]
	}
	return "— " + name + " " + base64.StdEncoding.EncodeToString(append(bytes.Clone(hash), signature...)) + "\n"
}

func lineBytes(line string) []byte {
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(line[strings.LastIndex(line, " ")+1:], "\n"))
	if err != nil {
		panic(err)
	}
	return raw
}

func keyHash(line string) []byte { return lineBytes(line)[:4] }

// flipLine alters one byte of a signature line: within the first twelve are hash and time.
func flipLine(line string, at int) string {
	raw := lineBytes(line)
	raw[(at+len(raw))%len(raw)] ^= 1
	return line[:strings.LastIndex(line, " ")+1] + base64.StdEncoding.EncodeToString(raw) + "\n"
}

func rotations(entries [][]byte) []json.RawMessage {
	var found []json.RawMessage
	for _, entry := range entries {
		var event struct {
			Metadata struct {
				Code string `json:"event_code"`
			}
			Unmapped struct {
				Mandate struct {
					Details struct{ Statement json.RawMessage }
				}
			}
		}
		if json.Unmarshal(entry, &event) == nil && event.Metadata.Code == "key-rotated" {
			found = append(found, event.Unmapped.Mandate.Details.Statement)
		}
	}
	return found
}
