#!/usr/bin/env bash
# Checks what is under deploy/, and docker-compose.yml, against the schemas of those who read it. Nothing is asked of a
# cluster or an engine. What fits the service is for tests/it/deploy.rs to tell.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

# A tool that is missing leaves its part out, and the exit status says so.
left_out=0
missing() { (skip "$@") || (($? == SKIPPED)) && left_out=1; }

# Runs a program that talks a lot: what it says is shown when it fails. quietly COMMAND...
quietly() {
  local said
  said=$("$@" 2>&1) || {
    echo "$said" >&2
    return 1
  }
}

kubernetes() {
  local version=1.33 chart=deploy/helm/catalog-service manifests=() file rendered number=0 options
  for file in deploy/kubernetes/*.yaml; do
    [[ $file == */kustomization.yaml ]] || manifests+=("$file")
  done
  .tools/python/bin/kubernetes-validate --strict --quiet --kubernetes-version "$version" "${manifests[@]}"
  if ! go_tool helm "$HELM_PACKAGE"; then
    missing "the Helm chart: Helm could not be built (is Go installed?)"
    return
  fi
  quietly .tools/bin/helm lint --strict "$chart"
  rendered=$(mktemp -d)
  # As it is, with other choices, and with nothing that can be left out.
  for options in replicaCount=3 \
    tls.secretName=catalog-tls,ingress.className=nginx,dapr.enabled=false,autoscaling.enabled=false,serviceAccount.name=other \
    ingress.enabled=false,networkPolicy.enabled=false,podDisruptionBudget.enabled=false,serviceAccount.create=false,migration.enabled=false; do
    number=$((number + 1))
    .tools/bin/helm template catalog-service "$chart" --kube-version "$version" --set "$options" >"$rendered/$number.yaml"
  done
  .tools/python/bin/kubernetes-validate --strict --quiet --kubernetes-version "$version" "$rendered"/*.yaml
  rm -r "$rendered"
}

prometheus() {
  local work
  work=$(mktemp -d)
  cp -r deploy/prometheus/. "$work"
  # Debian's Prometheus is built without Kubernetes.
  sed -i 's/kubernetes_sd_configs:/static_configs:/; s/- role: pod/- targets: [pod]/' "$work/kubernetes.yml"
  quietly promtool check config "$work/prometheus.yml"
  quietly promtool check config "$work/kubernetes.yml"
  quietly promtool test rules deploy/prometheus/tests/*.yml
  # The queries of the dashboards, as rules.
  python3 - deploy/grafana/dashboards/*.json >"$work/queries.yml" <<'PY'
import json, sys

rules = [
    {"record": "query", "expr": target["expr"].replace("$__rate_interval", "5m"), "labels": {"number": str(number)}}
    for name in sys.argv[1:]
    for panel in json.load(open(name))["panels"]
    for number, target in enumerate(panel.get("targets", []), panel["id"] * 100)
]
json.dump({"groups": [{"name": "queries", "rules": rules}]}, sys.stdout)
PY
  quietly promtool check rules "$work/queries.yml"
  rm -r "$work"
}

# Debian's package brings a server, which is not to be started.
need_promtool() {
  have promtool && return 0
  if [[ $(id -u) == 0 && ! -e /etc/systemd/system/prometheus.service ]]; then
    mkdir -p /etc/systemd/system
    ln -s /dev/null /etc/systemd/system/prometheus.service
  fi
  apt_install prometheus && have promtool
}

if (need_python); then
  kubernetes
  if need_promtool; then
    prometheus
  else
    missing "the rules of Prometheus: promtool is not installed (Debian: prometheus)"
  fi
else
  missing "the Kubernetes manifests and the rules of Prometheus: the Python tools are not installed"
fi
if go_tool compose-spec github.com/compose-spec/compose-go/v2/cmd@v2.16.2; then
  .tools/bin/compose-spec docker-compose.yml >/dev/null
else
  missing "docker-compose.yml: the loader of the Compose Specification could not be built (is Go installed?)"
fi
((left_out == 0)) || skip "a part of the checks of deploy/"
