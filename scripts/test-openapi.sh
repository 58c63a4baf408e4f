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
# It leaves its findings where it runs.
cd "$service_dir"

# fuzz SECONDS OPTION...
fuzz() {
  local seconds=$1
  shift
  "$root/.tools/python/bin/schemathesis" run "$CATALOG_HTTP_URL/openapi.json" \
    --checks all \
    --header "Authorization: Bearer $CATALOG_TOKEN" \
    --max-time "$seconds" \
    --request-timeout 10 \
    --generation-database none \
    --no-color \
    "$@"
}

# It waits for the end of an answer, which that of a watch has none of.
fuzz "${SCHEMATHESIS_SECONDS:-60}" --exclude-operation-id watchProducts --exclude-operation-id listProducts \
  --exclude-operation-id searchProducts --exclude-operation-id updateProduct --exclude-operation-id deleteProduct
# No schema says that the token of a page is one that an earlier answer gave, and goes with no number of a page; nor that
# what is searched for has a letter in it, of whatever script; nor that an entity tag is the one the product has now.
fuzz "${SCHEMATHESIS_SECONDS:-30}" --include-operation-id listProducts --include-operation-id searchProducts \
  --include-operation-id updateProduct --include-operation-id deleteProduct \
  --exclude-checks positive_data_acceptance
