#!/usr/bin/env bash
# Builds the real Dockerfile on a Debian base made here, starts the image unprivileged with a read-only root, and lets a
# device post through it to a cloud stand-in. Needs root, buildah and mmdebstrap; no container engine.
set -euo pipefail
cd "$(dirname "$0")/.."
export STORAGE_DRIVER=vfs BUILDAH_ISOLATION=chroot
scratch=$(mktemp -d)
pids=()
containers=()
# A process and everything it started, the youngest first.
tree() {
  local child
  for child in $(cat "/proc/$1/task/$1/children" 2>/dev/null); do tree "$child"; done
  echo "$1"
}
cleanup() {
  local all=()
  for pid in "${pids[@]:-}"; do [ -n "$pid" ] && mapfile -t -O "${#all[@]}" all < <(tree "$pid"); done
  for signal in TERM KILL; do
    for pid in "${all[@]:-}"; do [ -n "$pid" ] && kill "-$signal" "$pid" 2>/dev/null || true; done
    sleep 1
  done
  wait 2>/dev/null || true
  for container in "${containers[@]:-}"; do [ -n "$container" ] && buildah rm "$container" >/dev/null 2>&1 || true; done
  buildah rmi -f sallyport-check sallyport-base >/dev/null 2>&1 || true
  rm -rf "$scratch"
}
trap cleanup EXIT

echo "base image: Debian bookworm"
mmdebstrap --quiet --variant=minbase --include=ca-certificates,libatomic1 bookworm "$scratch/base.tar" >/dev/null
base=$(buildah from scratch)
containers+=("$base")
buildah add -q "$base" "$scratch/base.tar" / >/dev/null
# The build stage needs npm; this machine's own is put in, as the default image has one.
buildah copy -q "$base" "$(readlink -f "$(command -v node)")" /usr/local/bin/node >/dev/null
buildah copy -q "$base" "$(npm root -g)/npm" /usr/local/lib/node_modules/npm >/dev/null
buildah run "$base" -- ln -sf ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm
# The build trusts the certificates that this machine trusts.
buildah copy -q "$base" /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt >/dev/null
buildah run "$base" -- sh -c 'echo cafile=/etc/ssl/certs/ca-certificates.crt > /root/.npmrc'
buildah commit -q "$base" sallyport-base >/dev/null

echo "building docker/Dockerfile"
buildah build -q --format docker -f docker/Dockerfile -t sallyport-check \
  --build-arg BUILD_IMAGE=localhost/sallyport-base --build-arg RUNTIME_IMAGE=localhost/sallyport-base . >/dev/null

# A folder of this machine in the place of the volume. Not at /gw: without an engine the image's own volume stays there.
data="$scratch/data"
gw="$data/gw"
mkdir "$data"
chown 65532:65532 "$data"
chmod 0755 "$scratch"
container=$(buildah from localhost/sallyport-check)
containers+=("$container")
inside() { buildah run --user 65532:65532 --volume "$data:/data:rw" "$container" -- /usr/local/bin/sallyport "$@"; }

port=$((20000 + RANDOM % 20000))
cloud_port=$((port + 1))
inside init /data/gw --cloud "https://localhost:$cloud_port" --cloud-ca authority --https-port "$port" --name container
inside -C /data/gw device add thermo-1 --segment sensors
inside -C /data/gw demo cloud --port "$cloud_port" --name localhost --json >"$scratch/cloud.log" 2>&1 &
pids+=($!)
inside -C /data/gw run >"$scratch/gateway.log" 2>&1 &
pids+=($!)

for _ in $(seq 100); do
  inside -C /data/gw status --json >"$scratch/status.json" 2>/dev/null && break
  sleep 0.2
done
grep -q '"ready":true' "$scratch/status.json" || { echo "the gateway did not become ready"; cat "$scratch/gateway.log"; exit 1; }

answer=$(curl --silent --show-error --max-time 10 --cacert "$gw/devices/thermo-1/ca.pem" --cert "$gw/devices/thermo-1/cert.pem" \
  --key "$gw/devices/thermo-1/key.pem" "https://localhost:$port/v1/telemetry" -H 'content-type: application/json' \
  -d '{"serial":"SN-1","temperature":21.5,"owner":"Ada"}' --write-out ' %{http_code}')
echo "device got: $answer"
[ "${answer##* }" = 200 ]
sleep 0.5
grep -q '21.5' "$scratch/cloud.log"
! grep -q 'SN-1\|Ada' "$scratch/cloud.log"
echo "cloud got: $(grep -m1 21.5 "$scratch/cloud.log")"

user=$(buildah run --user 65532:65532 "$container" -- sh -c 'id -u; touch /app/x 2>/dev/null && echo writable || echo read-only')
echo "in the image: $(echo "$user" | tr '\n' ' ')"
[ "$user" = "$(printf '65532\nread-only')" ]
echo "container image: ok"
