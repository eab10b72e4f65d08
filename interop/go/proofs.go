// Inclusion proofs as the product hands them out: in passports, and by `mandate audit proof`.
package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	checkpoint "github.com/transparency-dev/formats/log"
	tlogproof "github.com/transparency-dev/formats/proof"
	"golang.org/x/mod/sumdb/tlog"
)

// passport is the body of a passport. What is unknown is left out: this check is about its place in the log.
type passport struct {
	Checkpoint string
	Keys       []json.RawMessage
	Statements []statement
}

type statement struct {
	Index int64
	Proof []string
	Dsse  dsse.Envelope
}

// verifyPassport has every statement's entry proven to be in the checkpoint's tree, and to be the entry
// that the export has at that place.
func verifyPassport(file []byte, trust *anchor, log *verified) error {
	var envelope dsse.Envelope
	if err := json.Unmarshal(file, &envelope); err != nil {
		return err
	}
	payload, err := envelope.DecodeB64Payload()
	if err != nil {
		return err
	}
	var body passport
	if err := json.Unmarshal(payload, &body); err != nil {
		return err
	}
	keys := newRing(trust)
	for _, key := range body.Keys {
		if err := keys.add(key); err != nil {
			return err
		}
	}
	if err := signedBy(&envelope, 1, keys.lines["evidence"]...); err != nil {
		return fmt.Errorf("passport: %w", err)
	}
	if len(body.Statements) == 0 {
		return errors.New("no statements")
	}
	for n, said := range body.Statements {
		if err := verifyStatement(said, body.Checkpoint, keys, log); err != nil {
			return fmt.Errorf("statement %d: %w", n, err)
		}
	}
	return nil
}

func verifyStatement(said statement, note string, keys *ring, log *verified) error {
	if err := signedBy(&said.Dsse, 1, keys.lines["evidence"]...); err != nil {
		return fmt.Errorf("statement: %w", err)
	}
	payload, err := said.Dsse.DecodeB64Payload()
	if err != nil {
		return err
	}
	// A canonical statement holds its predicate in canonical form, byte for byte the ledger's entry.
	var content struct {
		Subject   []struct{ Digest map[string]string }
		Predicate json.RawMessage
	}
	if err := json.Unmarshal(payload, &content); err != nil {
		return err
	}
	leaf := tlog.RecordHash(content.Predicate)
	if len(content.Subject) != 1 || content.Subject[0].Digest["sha256"] != hex.EncodeToString(leaf[:]) {
		return errors.New("the subject is not the leaf hash of the predicate")
	}
	path, err := hashesOf(said.Proof)
	if err != nil {
		return err
	}
	return verifyInclusion(said.Index, content.Predicate, path, note, keys, log)
}

// verifyProof checks the file that `mandate audit proof` wrote.
func verifyProof(file []byte, trust *anchor, log *verified) error {
	var proof struct {
		Index      int64
		Entry      string
		Proof      []string
		Checkpoint string
	}
	if err := json.Unmarshal(file, &proof); err != nil {
		return err
	}
	entry, err := base64.StdEncoding.Strict().DecodeString(proof.Entry)
	if err != nil {
		return err
	}
	path, err := hashesOf(proof.Proof)
	if err != nil {
		return err
	}
	// A proof brings no key history; the verified export has it.
	return verifyInclusion(proof.Index, entry, path, proof.Checkpoint, log.ring, log)
}

// verifyTlogProof checks the same in C2SP's own form, read by transparency.dev's package.
func verifyTlogProof(file []byte, _ *anchor, log *verified) error {
	var parsed tlogproof.TLogProof
	if err := parsed.Unmarshal(file); err != nil {
		return err
	}
	if !bytes.Equal(parsed.Marshal(), file) {
		return errors.New("transparency.dev writes it otherwise")
	}
	var path tlog.RecordProof
	for _, hash := range parsed.Hashes {
		path = append(path, tlog.Hash(hash))
	}
	return verifyInclusion(int64(parsed.Index), parsed.ExtraData, path, string(parsed.Checkpoint), log.ring, log)
}

func hashesOf(path []string) (tlog.RecordProof, error) {
	var proof tlog.RecordProof
	for _, hash := range path {
		bytes, err := base64.StdEncoding.Strict().DecodeString(hash)
		if err != nil || len(bytes) != tlog.HashSize {
			return nil, errors.New("inclusion: not a hash")
		}
		proof = append(proof, tlog.Hash(bytes))
	}
	return proof, nil
}

func verifyInclusion(index int64, entry []byte, proof tlog.RecordProof, text string, keys *ring, log *verified) error {
	opened, err := keys.openCheckpoint([]byte(text))
	if err != nil {
		return err
	}
	var tree checkpoint.Checkpoint
	if _, err := tree.Unmarshal([]byte(opened.Text)); err != nil {
		return err
	}
	if tree.Origin != keys.origin || len(tree.Hash) != tlog.HashSize {
		return errors.New("checkpoint: of another log")
	}
	err = tlog.CheckRecord(proof, int64(tree.Size), tlog.Hash(tree.Hash), index, tlog.RecordHash(entry))
	if err != nil {
		return fmt.Errorf("inclusion: %w", err)
	}
	if index >= log.size || !bytes.Equal(log.entries[index], entry) {
		return errors.New("the export has another entry there")
	}
	return nil
}
