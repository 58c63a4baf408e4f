#!/usr/bin/env bash
# Generates the clients under sdk/ from proto/. With an argument they go below that folder instead.
set -euo pipefail
output=$(realpath "${1:-$(dirname "$0")/..}")
. "$(dirname "$0")/lib.sh"

need_npm tools
need_npm sdk/typescript
need_python
buf=tools/node_modules/.bin/buf
$buf generate --output "$output"
$buf generate sdk/proto --template sdk/typescript/buf.gen.yaml --output "$output"
