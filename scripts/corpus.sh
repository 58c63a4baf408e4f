#!/usr/bin/env bash
# Builds annotated protos that others wrote, and calls each of their HTTP rules through the router: those of all of
# Google's APIs, or with `small` the few that the Python tools bring along.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

# Whose OpenAPI documents are validated.
readonly SAMPLE=(google.ads.googleads.v25.services google.bigtable.v2 google.cloud.compute.v1 google.firestore.v1
  google.longrunning google.pubsub.v1 google.storage.control.v2 grafeas.v1)

need_python
out=$root/.tools/corpus
rm -rf "$out"
if [[ ${1:-} == small ]]; then
  protos=$(.tools/python/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
  arguments=(--keep google.longrunning --keep google.cloud.location)
  cargo build --quiet --locked --package transcode-tests --features corpus --bin corpus
  program=${CARGO_TARGET_DIR:-target}/debug/corpus
else
  need_npm tools/corpus
  protos=tools/corpus/node_modules/google-proto-files
  arguments=(--known crates/transcode-tests/corpus/known.txt)
  for api in "${SAMPLE[@]}"; do arguments+=(--keep "$api"); done
  cargo build --quiet --locked --package transcode-tests --features corpus --profile corpus --bin corpus
  program=${CARGO_TARGET_DIR:-target}/corpus/corpus
fi
"$program" "$protos" "$out" "${arguments[@]}"
for document in "$out"/*/openapi.json; do
  .tools/python/bin/openapi-spec-validator "$document"
done
