#!/usr/bin/env bash
# The development house with its console, left open until Ctrl-C.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --quiet --locked --package mandate
target=$(cargo metadata --format-version 1 --no-deps --locked | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
port=${PORT:-8420}

cat <<TEXT
The console is at http://127.0.0.1:$port once the next line appears. Sign in as finance-lead to start a run,
and as finance-director to approve it.
TEXT
exec "$target/debug/mandate" dev --port "$port" ${DATA_DIR:+--data-dir "$DATA_DIR"}
