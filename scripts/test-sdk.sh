#!/usr/bin/env bash
# Calls a running service with the generated clients: gRPC-Web and Connect from TypeScript, gRPC from Python.
# CATALOG_BIN names the service to test; without it the development build is made and used.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

need_npm tools
need_npm sdk/typescript
need_python

echo "sdk: the generated clients are those of proto/"
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
scripts/generate-sdk.sh "$fresh"
for folder in sdk/typescript/src/gen sdk/python/src; do
  diff --recursive --exclude=__pycache__ --exclude='*.egg-info' "$folder" "$fresh/$folder" || {
    echo "error: $folder is stale: run make sdk" >&2
    exit 1
  }
done
rm -rf "$fresh"

start_service
CATALOG_ADMIN_TOKEN=$("$CATALOG_BIN" token --scope "identity:write catalog:read" --sub user_456)
export CATALOG_ADMIN_TOKEN
echo "sdk: TypeScript over gRPC-Web and Connect"
(cd sdk/typescript && npm test --silent)
echo "sdk: Python over gRPC"
(cd sdk/python && "$root/.tools/python/bin/mypy" && "$root/.tools/python/bin/pytest" --quiet)
