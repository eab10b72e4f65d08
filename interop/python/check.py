"""The Python half of the interoperability check: libraries of others judge what Mandate wrote.

securesystemslib verifies the signatures, in-toto-attestation reads the statements, rfc8785 writes every
entry again, prov reads the projection. No line of Mandate's code takes part, and no forgery may pass.

    check.py FOLDER      the folder that scripts/interop filled
"""

import json
import sys
from pathlib import Path

import evidence
import forgeries
import provenance


class Report:
    """Counts checks and prints one line for each."""

    def __init__(self):
        self.passed = self.failed = 0

    def holds(self, what, check, *arguments):
        """Passes when the check raises nothing; gives what it returned."""
        try:
            found = check(*arguments)
        except Exception as error:
            self.fail(what, f"{type(error).__name__}: {error}")
            return None
        self.passed += 1
        print(f"ok   python  {what}")
        return found

    def refused(self, what, kind, check, *arguments):
        """Passes when the check refuses with an error of this kind: another one hides a check that doesn't check."""
        try:
            check(*arguments)
        except kind:
            self.passed += 1
            print(f"ok   python  refused: {what}")
        except Exception as error:
            self.fail(f"refused: {what}", f"for another reason: {type(error).__name__}: {error}")
        else:
            self.fail(f"refused: {what}", "the forgery was accepted")

    def fail(self, what, why):
        self.failed += 1
        print(f"FAIL python  {what}: {why}")


def main(folder):
    report = Report()
    anchor = evidence.Anchor(json.loads((folder / "trust.json").read_text()), "demo")
    for name in ("early", "late"):
        entries = evidence.exported_entries(folder / f"export-{name}")
        report.holds(f"rfc8785 writes the {len(entries)} entries of the {name} export byte for byte the same",
                     evidence.all_canonical, entries)
    passports = {}
    for path in sorted(folder.glob("passport-*.json")):
        name = path.stem.removeprefix("passport-")
        opened = report.holds(f"passport {name}: signatures from the pinned anchor, statements, canonical form",
                              evidence.open_passport, path.read_bytes(), anchor)
        if opened is not None:
            passports[name] = opened
    missing = {"completed", "later", "refused", "faulted", "killed"} - set(passports)
    if missing:
        report.fail("passports of runs that ended in each way", f"missing: {', '.join(sorted(missing))}")
        return report
    report.holds("the passports show a completed, a refused, a faulted and a killed run", ends, passports)
    for name in ("completed", "later"):
        file = (folder / f"artifact-{name}.json").read_bytes()
        report.holds(f"artefact {name}: signature, canonical form, named by its passport",
                     evidence.open_artifact, file, anchor, passports[name])
    for name, passport in passports.items():
        document = (folder / f"prov-{name}.json").read_text()
        report.holds(f"PROV-JSON {name}: valid, and says what the passport says",
                     provenance.check, document, passport)
        events = (folder / f"openlineage-{name}.jsonl").read_text().splitlines()
        report.holds(f"OpenLineage {name}: starts, ends and data sets are the passport's",
                     provenance.check_lineage, events, passport)
    forgeries.entries(report, evidence.exported_entries(folder / "export-late"))
    forgeries.passports(report, (folder / "passport-later.json").read_bytes(), anchor)
    forgeries.artifacts(report, folder, anchor, passports)
    forgeries.projections(report, (folder / "prov-later.json").read_text(), passports)
    return report


def ends(passports):
    found = {name: passport.kinds()[-1] for name, passport in passports.items()}
    expected = {"completed": "run-completed", "later": "run-completed", "refused": "run-refused",
                "faulted": "run-faulted", "killed": "run-killed"}
    if found != expected:
        raise ValueError(f"they end with {found}")


if __name__ == "__main__":
    done = main(Path(sys.argv[1]))
    print(f"python: {done.passed} passed, {done.failed} failed")
    sys.exit(done.failed > 0 or done.passed == 0)
