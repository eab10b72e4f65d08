#!/usr/bin/env bash
# The main job, from start to verified proof. Builds what is missing, shows each step, ends by itself
# and leaves nothing running.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --quiet --locked --package mandate
target=$(cargo metadata --format-version 1 --no-deps --locked | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
mandate=${target}/debug/mandate

folder=$(mktemp -d)
house=
clean_up() {
  [ -z "$house" ] || kill "$house" 2>/dev/null || true
  [ -z "$house" ] || wait "$house" 2>/dev/null || true
  rm -rf "$folder"
}
trap clean_up EXIT

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
show() {
  printf '\033[2m$ mandate %s\033[0m\n' "$*"
  "$mandate" "$@"
}
# A command that must be refused: its exit code is part of the story.
refused() {
  local want=$1 code=0
  shift
  show "$@" || code=$?
  printf '\033[2m(exit code %s)\033[0m\n' "$code"
  [ "$code" -eq "$want" ] || { echo "expected exit code $want" >&2; exit 1; }
}
field() { sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p" | head -n 1; }

say "1. A development house: tenants, a provider, a warehouse, a legacy ledgerbook, a model, a mail server"
"$mandate" dev --data-dir "$folder/data" --port 0 --no-open >"$folder/ready" 2>"$folder/log" &
house=$!
for _ in $(seq 1 100); do
  [ -s "$folder/ready" ] && break
  kill -0 "$house" 2>/dev/null || { cat "$folder/log" >&2; exit 1; }
  sleep 0.1
done
url=$(field url <"$folder/ready")
trust=$(field trust <"$folder/ready")
mails=$(field mail_url <"$folder/ready")
export MANDATE_URL=$url
echo "ready at $url"

say "2. finance-lead starts the Quarterly Performance Summary; its mail to the board waits for a yes"
code=0
MANDATE_AS=finance-lead show run finance/quarterly-summary --purpose "Quarterly close" --input '{"quarter": "2026-Q3"}' -o json >"$folder/run" || code=$?
cat "$folder/run"
[ "$code" -eq 4 ] || { echo "expected a run that waits (exit code 4), got $code" >&2; exit 1; }
run=$(field run <"$folder/run")

say "3. finance-analyst may not even see it"
MANDATE_AS=finance-analyst refused 3 run finance/quarterly-summary --purpose "Curious" --input '{"quarter": "2026-Q3"}'

say "4. finance-director sees the exact mail: whose it is, why, where it goes, made of which data"
MANDATE_AS=finance-director "$mandate" approvals list --run "$run" -o json >"$folder/approvals"
approval=$(field id <"$folder/approvals")
MANDATE_AS=finance-director show approvals get "$approval"

say "5. Whoever started the run may not approve it; an administrator may not either"
MANDATE_AS=finance-lead refused 3 approvals approve "$approval"
MANDATE_AS=admin refused 3 approvals approve "$approval"

say "6. finance-director approves, and the very bytes they saw are sent, once"
MANDATE_AS=finance-director show approvals approve "$approval" --comment "Send it"
MANDATE_AS=finance-lead show runs watch "$run" | tail -n 3
if command -v curl >/dev/null; then
  echo "the mail server holds:"
  curl -sS "$mails" | head -c 600
  echo
fi

say "7. Who did what, on whose authority, decided by which policy"
MANDATE_AS=finance-lead show runs explain "$run"

say "8. The passport of the run, verified offline against the pinned trust anchor"
MANDATE_AS=finance-lead show passport export "$run" -f "$folder/passport.json"
show passport verify "$folder/passport.json" --trust "$trust"

say "9. The signed artefact"
MANDATE_AS=finance-lead show artifact get "$run" -f "$folder/summary.json"
show artifact verify "$folder/summary.json" --trust "$trust" --passport "$folder/passport.json"

say "10. One changed byte, and the passport is worth nothing"
awk '{ c = substr($0, 20000, 1); print substr($0, 1, 19999) (c == "A" ? "B" : "A") substr($0, 20001) }' ORS= \
  "$folder/passport.json" >"$folder/changed.json"
refused 6 passport verify "$folder/changed.json" --trust "$trust"

say "11. The whole ledger, hashed again"
show audit verify --data-dir "$folder/data" --trust "$trust"

say "Done. To explore:"
cat <<TEXT
  $mandate dev --data-dir ./house --port 8420 --no-open      (in one terminal; ends with Ctrl-C)
  export MANDATE_URL=http://127.0.0.1:8420 MANDATE_AS=finance-lead
  $mandate run finance/quarterly-summary --purpose "Try it" --input '{"quarter": "2026-Q2"}'
  $mandate runs list
  docs/guide/01-getting-started.md goes on from there.
TEXT
