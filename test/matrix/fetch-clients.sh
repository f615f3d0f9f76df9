#!/bin/sh
# Brings the clients that Debian's release does not have into FOLDER: bin/nerdctl, bin/crictl, docker-28/, containerd-*/ and compose/.
# What is there already is kept.
set -eu
folder=$1
mkdir -p "$folder/bin"
export CGO_ENABLED=0

# MODULE@VERSION PACKAGE NAME: `go install` refuses modules that replace others, so a copy is built.
build() {
  [ -x "$folder/bin/$3" ] && return
  echo "building $3 ($1)"
  source=$(mktemp -d)
  cached=$(go mod download -json "$1" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
  cp -r "$cached/." "$source"
  chmod -R u+w "$source"
  # Test helpers that want packages of their own.
  rm -f "$source"/cmd/nerdctl/helpers/testing*.go
  (cd "$source" && go build -buildvcs=false -mod=mod -o "$folder/bin/$3" "$2")
  rm -rf "$source"
}
build github.com/containerd/nerdctl/v2@v2.2.2 ./cmd/nerdctl nerdctl
build sigs.k8s.io/cri-tools@v1.36.0 ./cmd/crictl crictl

# SUITE NAME PACKAGE...: unpacks packages of another release of Debian.
unpack() {
  suite=$1
  name=$2
  shift 2
  [ -d "$folder/$name" ] && return
  echo "fetching $name (Debian $suite)"
  mirror=${TINE_DEBIAN_MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | head -n 1)}
  lists=$(mktemp -d)
  mkdir -p "$lists/lists/partial" "$lists/cache/archives/partial" "$lists/parts"
  touch "$lists/status"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" > "$lists/sources.list"
  cat > "$lists/apt.conf" <<END
Dir::State "$lists";
Dir::State::status "$lists/status";
Dir::Cache "$lists/cache";
Dir::Etc::sourcelist "$lists/sources.list";
Dir::Etc::sourceparts "$lists/parts";
Dir::Etc::parts "$lists/parts";
Dir::Etc::preferencesparts "$lists/parts";
APT::Sandbox::User "root";
Acquire::Check-Valid-Until "false";
Acquire::Languages "none";
END
  (export APT_CONFIG="$lists/apt.conf" && cd "$lists" && apt-get -q update && apt-get -q download "$@")
  for package in "$lists"/*.deb; do dpkg -x "$package" "$folder/$name.part"; done
  mv "$folder/$name.part" "$folder/$name"
  rm -rf "$lists"
}
unpack sid docker-28 docker.io docker-cli
unpack trixie containerd-1.7 containerd
unpack sid containerd-2.1 containerd
unpack sid compose docker-compose
