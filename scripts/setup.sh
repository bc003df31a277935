#!/usr/bin/env bash
# Sets up everything that Eisbach needs in .venv: system packages, Python
# packages, the package itself and mpirun's settings. Does again only what has
# changed. `scripts/setup.sh --test` adds what the tests need.
set -euo pipefail
cd "$(dirname "$0")/.."

want_tests=no
for argument in "$@"; do
  case "$argument" in
    --test) want_tests=yes ;;
    *) echo "setup.sh: unknown argument $argument; there is --test" >&2
       exit 2 ;;
  esac
done

say() { printf '\033[1m==> %s\033[0m\n' "$*"; }

system_packages() {
  local wanted=(g++ python3-venv python3-dev ccache libabsl-dev libhwy-dev
                nlohmann-json3-dev)
  [ "$want_tests" = yes ] && wanted+=(libgtest-dev libgmock-dev
                                      libopenblas-dev)
  local missing=() package
  for package in "${wanted[@]}"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null |
      grep -q 'ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  local sudo=()
  if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
      echo "These system packages are missing, and neither root nor sudo is" \
           "at hand: ${missing[*]}" >&2
      echo "Ask an administrator for: apt-get install ${missing[*]}" >&2
      exit 1
    fi
    sudo=(sudo)
  fi
  say "Installing system packages: ${missing[*]}"
  "${sudo[@]}" apt-get update -qq
  DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install -y -qq \
    --no-install-recommends "${missing[@]}" >/dev/null
}

# mpirun shall simply work: more ranks than cores, no binding (ranks place
# their threads themselves), and as root where one is root.
mpi_settings() {
  local settings=.venv/etc/prte-mca-params.conf
  mkdir -p .venv/etc
  if ! grep -qs eisbach "$settings"; then
    cat >>"$settings" <<'END'
# Written by eisbach's scripts/setup.sh
rmaps_default_mapping_policy = :oversubscribe
hwloc_default_binding_policy = none
END
  fi
  if [ "$(id -u)" -eq 0 ] && ! grep -q OMPI_ALLOW .venv/bin/activate; then
    cat >>.venv/bin/activate <<'END'
# Written by eisbach's scripts/setup.sh, run as root
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
END
  fi
}

# What the package is made from, as one number.
sources_digest() {
  find CMakeLists.txt cmake csrc python pyproject.toml README.md LICENSE \
    -type f -not -name '*.pyc' -print0 | sort -z |
    xargs -0 sha256sum | sha256sum | cut -d' ' -f1
}

python_packages() {
  if [ ! -x .venv/bin/python ]; then
    say "Making .venv"
    python3 -m venv .venv
    .venv/bin/python -m pip install --quiet --upgrade pip
  fi
  mpi_settings
  local extras="" digest
  [ "$want_tests" = yes ] && extras="[test]"
  digest="$(sources_digest)$extras"
  if [ "$(cat .venv/eisbach-installed 2>/dev/null)" = "$digest" ] ||
     [ "$(cat .venv/eisbach-installed 2>/dev/null)" = "$digest[test]" ]; then
    return
  fi
  say "Building and installing eisbach (a few minutes the first time)"
  # Compilations are cached by content, wherever the build happens.
  CCACHE_BASEDIR="$PWD" CCACHE_NOHASHDIR=1 \
    CCACHE_SLOPPINESS=pch_defines,time_macros \
    .venv/bin/python -m pip install --quiet ".$extras"
  echo "$digest" >.venv/eisbach-installed
}

system_packages
python_packages
