#!/usr/bin/env bash
# Checks the OpenAPI document by two readers, and the running service against it.
# CATALOG_BIN names the service to test; without it the development build is made and used.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

need_npm tools
need_python

echo "openapi: redocly"
REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true \
  tools/node_modules/.bin/redocly lint --extends recommended openapi/openapi.yaml
echo "openapi: openapi-spec-validator"
.tools/python/bin/openapi-spec-validator openapi/openapi.yaml openapi/openapi.json

start_service
echo "openapi: schemathesis"
# It leaves its findings where it runs. It waits for the end of an answer, which that of a watch has none of.
cd "$service_dir"
"$root/.tools/python/bin/schemathesis" --config-file "$root/tools/schemathesis.toml" run "$CATALOG_HTTP_URL/openapi.json" \
  --checks all \
  --exclude-operation-id watchProducts \
  --header "Authorization: Bearer $CATALOG_TOKEN" \
  --max-time "${SCHEMATHESIS_SECONDS:-75}" \
  --request-timeout 10 \
  --generation-database none \
  --no-color
