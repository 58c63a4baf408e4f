#!/usr/bin/env bash
# Calls the engine with requests that Google's libraries for Python build from the contract, and with a client that
# Google's generator makes of it.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

need_python
python=$root/.tools/python/bin/python
made=$root/.tools/compliance
rm -rf "$made"
mkdir -p "$made/messages" "$made/client"
include=(-I crates/transcode-tests/proto -I crates/transcode-build/proto)
# protoc looks for the generator by its name.
PATH=$root/.tools/python/bin:$PATH "$python" -m grpc_tools.protoc "${include[@]}" \
  --python_gapic_out="$made/client" \
  --python_gapic_opt=transport=rest,rest-numeric-enums,python-gapic-namespace=engine,python-gapic-name=compliance \
  compliance/v1/compliance.proto
"$python" -m grpc_tools.protoc "${include[@]}" --python_out="$made/messages" \
  compliance/v1/compliance.proto transcode/v1/annotations.proto

cargo build --quiet --locked --package transcode-tests --example compliance
"${CARGO_TARGET_DIR:-target}/debug/examples/compliance" >"$made/url" &
server=$!
trap 'kill "$server"' EXIT
for _ in $(seq 100); do
  [[ -s $made/url ]] && break
  sleep 0.1
done
COMPLIANCE_URL=$(<"$made/url")
export COMPLIANCE_URL

cd crates/transcode-tests/compliance
# One after the other: both have messages of the same names.
PYTHONPATH=$made/messages "$python" -m pytest --quiet -p no:cacheprovider test_path_template.py
PYTHONPATH=$made/client "$python" -m pytest --quiet -p no:cacheprovider test_generated_client.py
