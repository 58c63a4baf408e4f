#!/usr/bin/env bash
# Runs the Connect conformance suite over a server on the engine, by Connect, gRPC and gRPC-Web, and fails when a case
# that is not named in crates/transcode-tests/connect-conformance/known-failing.txt fails, or one that is named passes.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

readonly MODULE=connectrpc.com/conformance@v1.0.7
readonly CASES=crates/transcode-tests/connect-conformance
suite=$root/.tools/connect-conformance

# The protos of the suite, in which each RPC says who may call it, as every contract of the engine must.
# Called through `once`.
# shellcheck disable=SC2317
fetch_protos() {
  local from to=$suite/proto/connectrpc/conformance/v1
  from=$(go mod download -json "$MODULE" | python3 -c 'import json, sys; print(json.load(sys.stdin)["Dir"])') || return 1
  rm -rf "$suite/proto"
  mkdir -p "$to"
  cp "$from"/proto/connectrpc/conformance/v1/{config,server_compat}.proto "$to" || return 1
  awk -v option='    option (transcode.v1.method).public = true;' '
    /^import "google\/protobuf\/any.proto";/ { print; print "import \"transcode/v1/annotations.proto\";"; next }
    /^  rpc .*;$/ { sub(/;$/, " {"); print; print option; print "  }"; next }
    { print }
    /^  rpc .*\{$/ { print option }
  ' "$from/proto/connectrpc/conformance/v1/service.proto" >"$to/service.proto" || return 1
  chmod -R u+w "$suite/proto"
}

have go || skip "connect-conformance: Go is not installed"
have python3 || apt_install python3 || skip "connect-conformance: python3 is not installed"
go_tool connectconformance "${MODULE/@//cmd/connectconformance@}" ||
  skip "connect-conformance: $MODULE could not be installed"
mkdir -p "$suite"
# The script itself names what is fetched.
once "$suite/stamp" scripts/connect-conformance.sh -- fetch_protos ||
  skip "connect-conformance: the protos of $MODULE could not be had"

export CONNECT_CONFORMANCE_PROTOS=$suite/proto
cargo build --quiet --locked --package transcode-tests --features connect-conformance --bin connect-conformance
.tools/bin/connectconformance --mode server --conf "$CASES/config.yaml" --known-failing "@$CASES/known-failing.txt" "$@" -- \
  "${CARGO_TARGET_DIR:-$root/target}/debug/connect-conformance"
