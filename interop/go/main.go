// The Go half of the interoperability check: Go's own transparency-log packages, the C2SP formats package
// of the transparency.dev project and the DSSE package of in-toto's maintainers judge what Mandate wrote.
// No line of Mandate's code takes part, and no forgery may pass.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

func main() {
	data := flag.String("data", "", "folder that scripts/interop filled")
	tenant := flag.String("tenant", "demo", "whose ledger")
	flag.Parse()
	report := &report{}
	if err := run(report, *data, *tenant); err != nil {
		report.failed("reading what was exported", err)
	}
	fmt.Printf("go: %d passed, %d failed\n", report.passes, report.failures)
	if report.failures > 0 || report.passes == 0 {
		os.Exit(1)
	}
}

type report struct{ passes, failures int }

func (r *report) passed(what string) {
	r.passes++
	fmt.Printf("ok   go      %s\n", what)
}

func (r *report) failed(what string, err error) {
	r.failures++
	fmt.Printf("FAIL go      %s: %v\n", what, err)
}

// holds passes when what was checked is right.
func (r *report) holds(what string, err error) {
	if err != nil {
		r.failed(what, err)
		return
	}
	r.passed(what)
}

// refused passes when a forgery was refused, for the reason it is one: anything else hides a check that
// does not check.
func (r *report) refused(what, because string, err error) {
	switch {
	case err == nil:
		r.failed("refused: "+what, fmt.Errorf("the forgery was accepted"))
	case !strings.Contains(err.Error(), because):
		r.failed("refused: "+what, fmt.Errorf("for another reason than %q: %w", because, err))
	default:
		r.passed("refused: " + what)
	}
}

func run(r *report, data, tenant string) error {
	trust, err := readAnchor(filepath.Join(data, "trust.json"), tenant)
	if err != nil {
		return err
	}
	early, err := readExport(filepath.Join(data, "export-early"))
	if err != nil {
		return err
	}
	late, err := readExport(filepath.Join(data, "export-late"))
	if err != nil {
		return err
	}
	before, err := verifyExport(early, trust)
	r.holds("the first export: every entry hashed again, tiles and signatures", err)
	after, err2 := verifyExport(late, trust)
	r.holds("the second export: every entry hashed again, tiles and signatures", err2)
	if err != nil || err2 != nil {
		return nil
	}
	r.holds("more than one full tile, and a log key that was rotated", grown(before, after))
	r.holds("the second export extends the first (consistency proof over its tiles)", consistent(before, after))
	r.holds("every entry is proven by the exported tiles as Go's own client reads them", provenByTiles(after))
	passports, err := filepath.Glob(filepath.Join(data, "passport-*.json"))
	if err != nil || len(passports) < 3 {
		return fmt.Errorf("three passports are needed, found %d (%v)", len(passports), err)
	}
	for _, path := range passports {
		bytes, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		r.holds("inclusion of every statement of "+filepath.Base(path), verifyPassport(bytes, trust, after))
	}
	for pattern, verify := range map[string]func([]byte, *anchor, *verified) error{
		"proof-*.json":       verifyProof,
		"proof-*.tlog-proof": verifyTlogProof,
	} {
		proofs, err := filepath.Glob(filepath.Join(data, pattern))
		if err != nil || len(proofs) == 0 {
			return fmt.Errorf("no %s was exported (%v)", pattern, err)
		}
		for _, path := range proofs {
			bytes, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			r.holds("inclusion proof "+filepath.Base(path), verify(bytes, trust, after))
		}
	}
	forgeExports(r, late, trust, after)
	forgeConsistency(r, before, after)
	forgeKeys(r, late, trust, after)
	return forgeProofs(r, data, trust, after)
}

func grown(before, after *verified) error {
	if before.size >= after.size {
		return fmt.Errorf("sizes %d and %d", before.size, after.size)
	}
	if after.size <= 256 {
		return fmt.Errorf("only %d entries", after.size)
	}
	if len(after.ring.logKeys) < 2 {
		return fmt.Errorf("the log has %d key", len(after.ring.logKeys))
	}
	return nil
}
