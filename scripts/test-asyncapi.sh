#!/usr/bin/env bash
# Checks the description of the events: the official schema, its own examples, and a second reader.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

need_npm tools

echo "asyncapi: schema"
node tools/validate-asyncapi.mjs docs/events/asyncapi.json
echo "asyncapi: redocly"
REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true \
  tools/node_modules/.bin/redocly lint --extends minimal --skip-rule security-defined docs/events/asyncapi.yaml
