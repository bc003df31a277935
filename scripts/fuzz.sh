#!/usr/bin/env bash
# Builds the fuzzers of tests/fuzz with clang's libFuzzer and the address and
# undefined-behaviour sanitizers, in build/fuzz, and runs them one after another
# from the seeds in the tree. Installs clang with apt where it is missing.
#
#   scripts/fuzz.sh --seconds 60 [TARGET...]
#
# Without targets all run, each for so long, as many at a time as --jobs says
# (1). What is found lies in build/fuzz/found, what was learnt in
# build/fuzz/corpus, from which the next run goes on. Ends with 1 where an input
# crashed, hung (10 s) or took 1 GiB.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=60 jobs=1 targets=()
while [ $# -gt 0 ]; do
  case "$1" in
    --seconds) seconds=${2:?--seconds needs a number}; shift 2 ;;
    --jobs) jobs=${2:?--jobs needs a number}; shift 2 ;;
    -*) echo "fuzz.sh: unknown option $1; there are --seconds and --jobs" >&2
        exit 2 ;;
    *) targets+=("$1"); shift ;;
  esac
done
for number in "$seconds" "$jobs"; do
  [[ "$number" =~ ^[1-9][0-9]*$ ]] && continue
  echo "fuzz.sh: $number is no number of seconds or jobs: 1 or more" >&2
  exit 2
done
known=$(ls tests/fuzz/seeds)
for target in "${targets[@]}"; do
  [ -d "tests/fuzz/seeds/$target" ] && continue
  echo "fuzz.sh: no target $target; there are" $known >&2
  exit 2
done
[ ${#targets[@]} -gt 0 ] || mapfile -t targets <<<"$known"

packages=()
command -v clang++ >/dev/null || packages+=(clang)
for package in libclang-rt-dev libomp-dev libabsl-dev nlohmann-json3-dev; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
    packages+=("$package")
done
if [ ${#packages[@]} -gt 0 ]; then
  sudo=()
  [ "$(id -u)" -eq 0 ] || sudo=(sudo)
  "${sudo[@]}" apt-get update -qq
  DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install -y -qq \
    --no-install-recommends "${packages[@]}" >/dev/null
fi
if [ -z "${VIRTUAL_ENV:-}" ]; then
  scripts/setup.sh
  # shellcheck disable=SC1091
  source .venv/bin/activate
fi

build=build/fuzz
cmake -S tests/fuzz -B "$build" -G Ninja -DCMAKE_CXX_COMPILER=clang++ \
  -DCMAKE_BUILD_TYPE=None
ninja -C "$build"
mkdir -p "$build/found"

fuzz() {
  local target=$1 log="$build/$1.log"
  mkdir -p "$build/corpus/$target"
  if "$build/fuzz_$target" -max_total_time="$seconds" -timeout=10 \
    -rss_limit_mb=1024 -max_len=8192 -print_final_stats=1 \
    -artifact_prefix="$build/found/$target-" \
    "$build/corpus/$target" "tests/fuzz/seeds/$target" >"$log" 2>&1; then
    echo "$target: nothing found in $(sed -n \
      's/^stat::number_of_executed_units: *//p' "$log") inputs, $(sed -n \
      's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -1) edges"
  else
    echo "$target: FOUND, see $log"
    grep -E "ERROR|runtime error|check failed|SUMMARY|Test unit" "$log" |
      head -5 | sed 's/^/  /'
    return 1
  fi
}
export -f fuzz
export build seconds
printf '%s\n' "${targets[@]}" |
  xargs -P "$jobs" -I{} bash -c 'fuzz {}' || exit 1
