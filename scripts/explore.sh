#!/usr/bin/env bash
# The development house with its console, the page opened where there is a browser, until Ctrl-C.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --quiet --locked --package mandate
target=$(cargo metadata --format-version 1 --no-deps --locked | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
port=${PORT:-8420}
url=http://127.0.0.1:$port

cat <<TEXT
The console is at $url once the next line appears. Sign in as finance-lead to start a run, and as
finance-director, in a private window, to approve it. Ctrl-C ends it.
TEXT
# Opened by whatever the desktop has, once the house answers; without a desktop the address above will do.
(
  for _ in $(seq 1 100); do
    if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
      for opener in xdg-open open; do
        if command -v "$opener" >/dev/null && [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}$([ "$opener" = open ] && echo mac)" ]; then
          exec "$opener" "$url" >/dev/null 2>&1
        fi
      done
      exit 0
    fi
    sleep 0.2
  done
) &
exec "$target/debug/mandate" dev --port "$port" ${DATA_DIR:+--data-dir "$DATA_DIR"}
