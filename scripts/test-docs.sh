#!/usr/bin/env bash
# Opens the documentation page in a headless Chromium: it must show every operation, under the content security policy
# that it is served with.
# CATALOG_BIN names the service to test; without it the development build is made and used.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

browser=
for candidate in chromium chromium-browser google-chrome; do
  have "$candidate" && browser=$candidate && break
done
if [[ -z $browser ]]; then
  apt_install chromium || skip "the documentation page: Chromium is not installed"
  browser=chromium
fi
have python3 || apt_install python3 || skip "the documentation page: python3 is not installed"

# Prints the page as it is after its scripts have run; what the browser's console says goes to FILE. open_page FILE URL
open_page() {
  timeout 120 "$browser" --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run \
    --user-data-dir="$profile" --enable-logging=stderr --log-level=0 --virtual-time-budget=20000 \
    --dump-dom "$2" 2>"$1"
}

forbidden() { grep --extended-regexp --ignore-case "content security policy|refused to (load|execute|apply)" "$1"; }

profile=$(mktemp -d)
start_service
work=$service_dir

# That a violation would be seen at all.
cat >"$work/violation.py" <<'PY'
import http.server, sys

class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Security-Policy", "default-src 'self'")
        self.end_headers()
        self.wfile.write(b"<body><script>document.title = 1</script><img src='data:image/png;base64,AA=='></body>")

    def log_message(self, *_):
        pass

server = http.server.HTTPServer(("127.0.0.1", 0), Page)
print(server.server_port, flush=True)
server.handle_request()
PY
coproc violation { exec python3 "$work/violation.py"; }
read -r port <&"${violation[0]}"
open_page "$work/violation.log" "http://127.0.0.1:$port/" >/dev/null
forbidden "$work/violation.log" >/dev/null || {
  cat "$work/violation.log"
  echo "error: a violation was not seen" >&2
  exit 1
}

open_page "$work/console.log" "$CATALOG_HTTP_URL/docs/catalog" >"$work/page.html"
if forbidden "$work/console.log"; then
  echo "error: the page does what its content security policy forbids" >&2
  exit 1
fi
"$CATALOG_BIN" openapi >"$work/openapi.json"
python3 - "$work/openapi.json" "$work/page.html" <<'PY'
import json, re, sys

description = json.load(open(sys.argv[1]))
page = open(sys.argv[2]).read().replace("\u200b", "")
page = re.sub(r"<wbr\s*/?>", "", page)
shown = set(re.findall(r'data-path="([^"]+)"', page))
expected = set(description["paths"])
missing = expected - shown
operations = sum(len(item) for item in description["paths"].values())
found = len(re.findall(r'class="opblock opblock-', page))
if missing or found < operations:
    sys.exit(f"error: the page shows {found} of {operations} operations; missing: {sorted(missing)}")
print(f"docs: {found} operations are shown, and the content security policy is kept")
PY
rm -rf "$profile"
