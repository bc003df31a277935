#!/usr/bin/env bash
# Runs a bundle of scripts/gpu_bundle.sh where nothing else is: in a root with
# bash, the C and C++ libraries and Python, and no GPU. Every library must be
# found but NVIDIA's own, every part must say that it needs a GPU, and the exit
# code must be 77.
#
#   scripts/test_gpu_bundle.sh [build/gpu_bundle.tar.gz [PYTHON]]
#
# Needs root, or a kernel that lets users make namespaces.
set -euo pipefail
cd "$(dirname "$0")/.."
packed="$(realpath "${1:-build/gpu_bundle.tar.gz}")"
python="$(realpath "$(command -v "${2:-python3}")")"
library="$("$python" -c \
  'import sysconfig; print(sysconfig.get_path("stdlib"))')"

root="$(mktemp -d)"
trap 'rm -rf "$root"' EXIT
mkdir -p "$root"/{bin,dev,proc,tmp,usr} "$root$library" \
  "$root$(dirname "$python")"
for program in bash env dirname sort; do
  cp -L "$(type -P $program)" "$root/bin/"
done
[ -e "$root/usr/bin" ] || ln -s ../bin "$root/usr/bin"
cp "$python" "$root$python"
tar -C "$library" --exclude=site-packages --exclude=test --exclude=__pycache__ \
  -c . | tar -C "$root$library" -x
# The system's part of a GPU machine: what Python and PyTorch need as well.
libraries="$(find "$library/lib-dynload" -name '*.so' -print0 |
  xargs -0 ldd "$python" "$root"/bin/* 2>/dev/null |
  awk '$2 == "=>" && $3 ~ /^\// {print $3}
       /ld-linux/ && $1 ~ /^\// {print $1}' | sort -u)"
names='lib(c|dl|m|rt|util|pthread|resolv|nss_files|stdc\+\+|gcc_s)'
base="$(ldconfig -p | awk "/^\t$names\.so\.[0-9]+ .*x86-64/ {print \$NF}")"
for file in $libraries $base; do
  mkdir -p "$root$(dirname "$file")"
  cp -L "$file" "$root$file"
done
tar -C "$root" -xzf "$packed"
bundle="$(basename "$packed" .tar.gz)"

# In it. What is mounted is gone with the namespace.
cat >"$root/inside.sh" <<'END'
set -euo pipefail
cd "/$1"
PYTHON="$2" ./run_on_gpu.sh >/tmp/said && code=0 || code=$?
echo "exit code $code"
[ $code = 77 ] || { echo "$(</tmp/said)"; exit 1; }
for file in bin/* lib/*.so* lib/openmpi/*.so*; do
  case $file in *.gz) continue ;; esac
  LD_LIBRARY_PATH=lib:lib/openmpi LD_TRACE_LOADED_OBJECTS=1 \
    /lib64/ld-linux-x86-64.so.2 "./$file"
done >/tmp/libraries
while read -r name arrow state _; do
  [ "$arrow $state" != "=> not" ] || echo "$name"
done </tmp/libraries | sort -u >/tmp/absent
while read -r name; do
  echo "not found: $name"
  case $name in
    libcuda.so.1|libcudart.so.13|libcublasLt.so.13|libcudnn.so.9) ;;
    libnccl.so.2|libnvrtc.so.13) ;;
    *) echo "test_gpu_bundle.sh: $name is in no bundle"; exit 1 ;;
  esac
done </tmp/absent
echo "$(</tmp/said)"
END
own=(); [ "$(id -u)" -eq 0 ] || own=(--map-root-user)
unshare "${own[@]}" --mount bash -c '
  for folder in /dev /proc; do mount --rbind $folder "$1$folder"; done
  exec chroot "$1" /bin/env -i PATH=/bin HOME=/ /bin/bash /inside.sh "$2" "$3"
' _ "$root" "$bundle" "$python"
