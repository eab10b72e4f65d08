// The pinned anchor and the keys that follow from it by signed statements.
package main

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	cosigned "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
)

const keyStatement = "application/vnd.mandate.key+json"

// anchor is what trust.json pins for one tenant.
type anchor struct {
	tenant    string
	origin    string
	log       string   // verifier key
	witnesses []string // verifier keys of type 0x04
	quorum    int
	first     map[string]ed25519.PublicKey // by role
}

// ring is the anchor and the successors of its keys.
type ring struct {
	*anchor
	lines   map[string][]ed25519.PublicKey // by role, oldest first
	logKeys []string                       // verifier keys
}

func readAnchor(path, tenant string) (*anchor, error) {
	var file struct {
		Witnesses []string
		Quorum    int
		Tenants   map[string]struct{ Origin, Log, Evidence, Token string }
	}
	bytes, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(bytes, &file); err != nil {
		return nil, fmt.Errorf("anchor: %w", err)
	}
	own, ok := file.Tenants[tenant]
	if !ok {
		return nil, fmt.Errorf("the anchor does not know tenant %s", tenant)
	}
	a := &anchor{tenant: tenant, origin: own.Origin, log: own.Log, witnesses: file.Witnesses, quorum: file.Quorum}
	a.first = map[string]ed25519.PublicKey{}
	for role, text := range map[string]string{"evidence": own.Evidence, "token": own.Token} {
		if a.first[role], err = publicKey(text); err != nil {
			return nil, err
		}
	}
	if a.first["log"], err = keyOf(own.Log); err != nil {
		return nil, err
	}
	if a.quorum < 1 || a.quorum > len(a.witnesses) {
		return nil, errors.New("the anchor's quorum can't be met")
	}
	return a, nil
}

func publicKey(base64url string) (ed25519.PublicKey, error) {
	bytes, err := base64.RawURLEncoding.Strict().DecodeString(base64url)
	if err != nil || len(bytes) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("not an Ed25519 key: %q", base64url)
	}
	return bytes, nil
}

// keyOf takes the public key out of a verifier key, whose hash NewVerifier checks later.
func keyOf(verifier string) (ed25519.PublicKey, error) {
	parts := strings.SplitN(verifier, "+", 3)
	if len(parts) != 3 {
		return nil, fmt.Errorf("not a verifier key: %q", verifier)
	}
	bytes, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(bytes) != 1+ed25519.PublicKeySize {
		return nil, fmt.Errorf("not an Ed25519 verifier key: %q", verifier)
	}
	return bytes[1:], nil
}

func newRing(a *anchor) *ring {
	lines := map[string][]ed25519.PublicKey{}
	for role, key := range a.first {
		lines[role] = []ed25519.PublicKey{key}
	}
	return &ring{anchor: a, lines: lines, logKeys: []string{a.log}}
}

// add accepts a successor: signed by its predecessor and by a quorum of witnesses.
func (r *ring) add(raw json.RawMessage) error {
	var envelope dsse.Envelope
	if err := json.Unmarshal(raw, &envelope); err != nil {
		return fmt.Errorf("key statement: %w", err)
	}
	payload, err := envelope.DecodeB64Payload()
	if err != nil {
		return fmt.Errorf("key statement: %w", err)
	}
	var said struct {
		Tenant, Role, Key, Predecessor string
		KeyName                        string `json:"key_name"`
		Ordinal                        int
	}
	if err := json.Unmarshal(payload, &said); err != nil {
		return fmt.Errorf("key statement: %w", err)
	}
	line := r.lines[said.Role]
	if envelope.PayloadType != keyStatement || said.Tenant != r.tenant || len(line) == 0 {
		return errors.New("key statement: of another type, tenant or role")
	}
	predecessor := line[len(line)-1]
	if said.Ordinal != len(line) || said.Predecessor != thumbprint(predecessor) {
		return errors.New("key statement: does not follow the last key")
	}
	key, err := publicKey(said.Key)
	if err != nil {
		return err
	}
	if err := r.endorsed(&envelope, predecessor); err != nil {
		return fmt.Errorf("key statement: %w", err)
	}
	if said.Role == "log" {
		if said.KeyName != r.origin {
			return errors.New("key statement: a log key is named as its log")
		}
		verifier, err := note.NewEd25519VerifierKey(r.origin, key)
		if err != nil {
			return err
		}
		r.logKeys = append(r.logKeys, verifier)
	}
	r.lines[said.Role] = append(line, key)
	return nil
}

// endorsed has the predecessor, and apart from it a quorum of witnesses, verified by go-securesystemslib.
func (r *ring) endorsed(envelope *dsse.Envelope, predecessor ed25519.PublicKey) error {
	if err := signedBy(envelope, 1, predecessor); err != nil {
		return fmt.Errorf("predecessor: %w", err)
	}
	var witnesses []ed25519.PublicKey
	for _, witness := range r.witnesses {
		key, err := keyOf(witness)
		if err != nil {
			return err
		}
		witnesses = append(witnesses, key)
	}
	if err := signedBy(envelope, r.quorum, witnesses...); err != nil {
		return fmt.Errorf("witnesses: %w", err)
	}
	return nil
}

func signedBy(envelope *dsse.Envelope, threshold int, keys ...ed25519.PublicKey) error {
	var verifiers []dsse.Verifier
	for _, key := range keys {
		verifiers = append(verifiers, edVerifier{key})
	}
	verifier, err := dsse.NewMultiEnvelopeVerifier(threshold, verifiers...)
	if err != nil {
		return err
	}
	_, err = verifier.Verify(context.Background(), envelope)
	return err
}

// edVerifier lends an Ed25519 key to the DSSE package; key ids are RFC 7638 thumbprints.
type edVerifier struct{ key ed25519.PublicKey }

func (v edVerifier) Verify(_ context.Context, data, sig []byte) error {
	if !ed25519.Verify(v.key, data, sig) {
		return errors.New("signature does not verify")
	}
	return nil
}
func (v edVerifier) KeyID() (string, error)   { return thumbprint(v.key), nil }
func (v edVerifier) Public() crypto.PublicKey { return v.key }

func thumbprint(key ed25519.PublicKey) string {
	jwk := fmt.Sprintf(`{"crv":"Ed25519","kty":"OKP","x":"%s"}`, base64.RawURLEncoding.EncodeToString(key))
	sum := sha256.Sum256([]byte(jwk))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// openCheckpoint verifies a cosigned checkpoint: a log key's signature with Go's note package, the
// witnesses' cosignature/v1 with the one of transparency.dev.
func (r *ring) openCheckpoint(text []byte) (*note.Note, error) {
	var verifiers []note.Verifier
	for _, key := range r.logKeys {
		verifier, err := note.NewVerifier(key)
		if err != nil {
			return nil, fmt.Errorf("log key: %w", err)
		}
		verifiers = append(verifiers, verifier)
	}
	logs := len(verifiers)
	for _, key := range r.witnesses {
		verifier, err := cosigned.NewVerifierForCosignatureV1(key)
		if err != nil {
			return nil, fmt.Errorf("witness key: %w", err)
		}
		verifiers = append(verifiers, verifier)
	}
	opened, err := note.Open(text, note.VerifierList(verifiers...))
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	byLog, byWitness := 0, map[string]bool{}
	for _, sig := range opened.Sigs {
		for i, verifier := range verifiers {
			if sig.Name != verifier.Name() || sig.Hash != verifier.KeyHash() {
				continue
			}
			if i < logs {
				byLog++
			} else {
				byWitness[sig.Name] = true
			}
		}
	}
	if byLog == 0 {
		return nil, errors.New("checkpoint: not signed by the log")
	}
	if len(byWitness) < r.quorum {
		return nil, errors.New("checkpoint: too few witnesses")
	}
	return opened, nil
}
