#!/usr/bin/env bash
# Sets up everything that Eisbach needs in .venv: system packages, Python
# packages, the package itself and mpirun's settings. Does again only what has
# changed. `scripts/setup.sh --test` adds what the tests need and builds them;
# `scripts/setup.sh --cuda` builds the plug-in for NVIDIA's GPUs as well, with
# NVIDIA's compiler and libraries from Python packages (2.2 GB, no GPU needed).
#
# One build folder, build/release, serves the package and the C++ tests, so
# nothing is compiled twice.
set -euo pipefail
cd "$(dirname "$0")/.."

want_tests=no
want_cuda=OFF
for argument in "$@"; do
  case "$argument" in
    --test) want_tests=yes ;;
    --cuda) want_cuda=ON ;;
    *) echo "setup.sh: unknown argument $argument; there are --test and" \
            "--cuda" >&2
       exit 2 ;;
  esac
done

say() { printf '\033[1m==> %s\033[0m\n' "$*"; }

system_packages() {
  local wanted=(g++ python3-venv python3-dev ccache libabsl-dev libhwy-dev
                nlohmann-json3-dev)
  # Matmul comes from the oneDNN wheel, which is there for x86-64 alone.
  if [ "$want_tests" = yes ] || [ "$(uname -m)" != x86_64 ]; then
    wanted+=(libopenblas-dev)
  fi
  [ "$want_tests" = yes ] && wanted+=(libgtest-dev libgmock-dev iproute2)
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

# mpirun shall simply work: ranks fill the slots of one host after the other,
# may be more than there are cores, and are not bound (they place their threads
# themselves); it gives up a host that it does not reach for six minutes, longer
# than fault.hang_seconds, so that a short fault of a network ends no job and the
# watch of the core judges longer ones; and as root where one is root.
mpi_settings() {
  local settings=.venv/etc/prte-mca-params.conf
  mkdir -p .venv/etc
  touch "$settings"
  # What this script has written before, in this version or another.
  sed -i -e '/^# Written by eisbach/d' -e '/^# The end of eisbach/d' \
    -e '/^rmaps_default_mapping_policy = \(slot\)\?:oversubscribe$/d' \
    -e '/^hwloc_default_binding_policy = none$/d' \
    -e '/^oob_tcp_keepalive_/d' "$settings"
  cat >>"$settings" <<'END'
# Written by eisbach's scripts/setup.sh
rmaps_default_mapping_policy = slot:oversubscribe
hwloc_default_binding_policy = none
oob_tcp_keepalive_time = 60
oob_tcp_keepalive_intvl = 60
oob_tcp_keepalive_probes = 5
# The end of eisbach's settings
END
  if [ "$(id -u)" -eq 0 ] && ! grep -q OMPI_ALLOW .venv/bin/activate; then
    cat >>.venv/bin/activate <<'END'
# Written by eisbach's scripts/setup.sh, run as root
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
END
  fi
}

# Who fails tells the cause in a line. mpirun's paragraphs about a rank that
# ended with an error or asked for the end hide it: without their text it says
# nothing. What it says of a rank that a signal killed stays.
quiet_mpirun() {
  local texts=.venv/share/prte/help-prun.txt
  [ -f "$texts" ] || return 0
  sed -i -E 's/^\[prun:(proc-ordered-abort|non-zero-exit)\]/[off:\1]/' "$texts"
}

# What the package is made from, as one number.
sources_digest() {
  find CMakeLists.txt cmake csrc python pyproject.toml README.md LICENSE \
    -type f -not -name '*.pyc' -print0 | sort -z |
    xargs -0 sha256sum | sha256sum | cut -d' ' -f1
}

# A line of at most 78 columns, whole words alone: of its last one, a path, the
# folders go first.
short() {
  local line="$1" last="${1##* }"
  if [ ${#line} -gt 78 ]; then line="${line% *} ${last##*/}"; fi
  if [ ${#line} -gt 78 ]; then
    line="${line:0:75}"
    line="${line% *} ..."
  fi
  printf '%s' "$line"
}

# Shows what a build says as it goes: one line that is written over on a
# terminal, every tenth step elsewhere. Everything is kept in the file $1.
progress() {
  local log="$1" line steps=0
  while IFS= read -r line; do
    printf '%s\n' "$line" >>"$log"
    [[ "$line" =~ ^[[:space:]]*(\[[0-9]+/[0-9]+\].*) ]] || continue
    line="${BASH_REMATCH[1]}"
    if [ -t 1 ]; then
      printf '\r\033[K%s' "$(short "$line")"
    elif [ $((steps++ % 10)) -eq 0 ]; then
      printf '%s\n' "$(short "$line")"
    fi
  done
  if [ -t 1 ]; then printf '\r\033[K'; fi
}

# pip's own words only where it fails.
pip_install() {
  local log=.venv/setup.log
  : >"$log"
  if ! .venv/bin/python -m pip install --verbose --disable-pip-version-check \
      "$@" 2>&1 | progress "$log"; then
    tail -n 60 "$log" >&2
    echo "setup.sh: pip install failed; all it said is in $log" >&2
    exit 1
  fi
}

python_packages() {
  if [ ! -x .venv/bin/python ]; then
    say "Making .venv"
    python3 -m venv .venv
  fi
  local extras="" tests=OFF digest installed=.venv/eisbach-installed
  [ "$want_tests" = yes ] && extras="[test]" tests=ON
  digest="$(sources_digest)"
  [ "$want_cuda" = ON ] && digest="$digest cuda"
  case "$(cat $installed 2>/dev/null)" in
    "$digest$extras" | "$digest[test]") return ;;
  esac
  say "Installing the Python packages"
  .venv/bin/python -c 'import tomllib
with open("pyproject.toml", "rb") as file:
    print(*tomllib.load(file)["build-system"]["requires"], sep="\n")
' >.venv/build-requirements.txt
  # Without build isolation, what comes as source alone is built by the
  # setuptools of .venv, and those of Python 3.11 cannot make wheels.
  pip_install --upgrade pip setuptools cmake ninja \
    -r .venv/build-requirements.txt
  [ "$want_cuda" = ON ] && scripts/cuda_packages.sh
  say "Building and installing eisbach (minutes the first time)"
  # The build runs in .venv itself, where its paths stay the same, and
  # compilations are cached by content, wherever the build happens.
  PATH="$PWD/.venv/bin:$PATH" CCACHE_BASEDIR="$PWD" CCACHE_NOHASHDIR=1 \
    CCACHE_SLOPPINESS=pch_defines,time_macros \
    pip_install --no-build-isolation --config-settings build-dir=build/release \
    --config-settings "cmake.define.EISBACH_BUILD_TESTS=$tests" \
    --config-settings "cmake.define.EISBACH_BUILD_PYTHON=ON" \
    --config-settings "cmake.define.EISBACH_CUDA=$want_cuda" \
    --config-settings "cmake.define.EISBACH_CUDA_EMULATION=OFF" ".$extras"
  echo "$digest$extras" >$installed
}

system_packages
python_packages
mpi_settings  # last, as the wheel brings a file of settings of its own
quiet_mpirun
