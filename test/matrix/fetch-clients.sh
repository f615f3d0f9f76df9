#!/bin/sh
# Brings the clients that Debian's release does not have, and one docker that a machine with a newer one has not, into
# FOLDER: bin/nerdctl, bin/crictl, kubernetes-1.36/, docker-*/, containerd-*/ and compose/.
# What is there already is kept.
set -eu
folder=$1
mkdir -p "$folder/bin"
source=
lists=
trap 'rm -rf $source $lists' EXIT
trap 'exit 1' HUP INT TERM
export CGO_ENABLED=0

# The Go that is at hand: modules may name a newer patch release.
export GOTOOLCHAIN=local

# MODULE@VERSION: copies a module to $source, to be changed there: `go install` refuses modules that replace others.
copy_module() {
  source=$(mktemp -d)
  cached=$(go mod download -json "$1" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
  cp -r "$cached/." "$source"
  chmod -R u+w "$source"
  (cd "$source" && go mod edit -toolchain=none)
  # What a repository keeps beside the module are modules of the same version.
  for module in $(sed -n 's,^\t\([^ ]*\) => \.\./.*,\1,p' "$source/go.mod"); do
    (cd "$source" && go mod edit "-dropreplace=$module")
  done
}

# PROGRAM PACKAGE [FLAG...]: builds a package of $source.
build_there() {
  program=$1
  package=$2
  shift 2
  [ -x "$program" ] && return
  mkdir -p "$(dirname "$program")"
  (cd "$source" && go build -buildvcs=false -mod=mod "$@" -o "$program.part" "$package" && mv "$program.part" "$program")
}

# MODULE@VERSION PACKAGE NAME
build() {
  [ -x "$folder/bin/$3" ] && return
  echo "building $3 ($1)"
  copy_module "$1"
  # Test helpers that want packages of their own.
  rm -f "$source"/cmd/nerdctl/helpers/testing*.go
  build_there "$folder/bin/$3" "$2"
  rm -rf "$source"
}
build github.com/containerd/nerdctl/v2@v2.2.2 ./cmd/nerdctl nerdctl
build sigs.k8s.io/cri-tools@v1.36.0 ./cmd/crictl crictl

# Kubernetes: what its repository keeps in staging/ are modules of their own, of the version 0.MINOR.
kubernetes=v1.36.3
if [ ! -x "$folder/kubernetes-1.36/kubelet" ]; then
  echo "building Kubernetes $kubernetes: takes ten minutes"
  copy_module go.etcd.io/etcd/server/v3@v3.7.3
  build_there "$folder/kubernetes-1.36/etcd" . -ldflags "-s -w"
  rm -rf "$source"
  copy_module "k8s.io/kubernetes@$kubernetes"
  rm -rf "$source/vendor" "$source/go.work" "$source/go.work.sum"
  for module in $(sed -n 's,^\t\(k8s.io/[a-z-]*\) => ./staging.*,\1,p' "$source/go.mod"); do
    (cd "$source" && go mod edit "-replace=$module=$module@v0${kubernetes#v1}")
  done
  version=k8s.io/component-base/version
  # The kubelet last: it says that all is there.
  for name in kubectl kube-apiserver kube-controller-manager kube-scheduler kubelet; do
    build_there "$folder/kubernetes-1.36/$name" "./cmd/$name" -p 2 -ldflags \
      "-s -w -X $version.gitVersion=$kubernetes -X $version.gitMajor=1 -X $version.gitMinor=36 -X $version.gitTreeState=clean"
  done
  rm -rf "$source"
fi

# A containerd that no release of Debian has, where Debian's packages would put it.
if [ ! -x "$folder/containerd-2.4/usr/bin/containerd-stress" ]; then
  echo "building containerd 2.4"
  copy_module github.com/containerd/containerd/v2@v2.4.2
  # It wants to be allowed a hundred thousand files, more than some machines let anybody have.
  sed -i 's/uint64(100000)/uint64(10000)/' "$source/cmd/containerd-stress/rlimit_unix.go"
  for name in ctr containerd-shim-runc-v2 containerd containerd-stress; do
    build_there "$folder/containerd-2.4/usr/bin/$name" "./cmd/$name" -p 2 -ldflags \
      "-s -w -X github.com/containerd/containerd/v2/version.Version=2.4.2"
  done
  rm -rf "$source"
fi

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
unpack bookworm docker-20.10 docker.io
unpack trixie docker-26 docker.io docker-cli
unpack sid docker-28 docker.io docker-cli
unpack trixie containerd-1.7 containerd
unpack sid containerd-2.1 containerd
unpack sid compose docker-compose
