#!/usr/bin/env bash
# Trains on several hosts with mpirun, one rank for each GPU.
#
#   GPUS=8 scripts/launch/mpirun.sh HOSTFILE CONFIG [section.key=value ...]
#
# HOSTFILE has one host a line. GPUS is the number of GPUs of each: 8 on DGX
# B200, 4 on a compute tray of an NVL72 rack, as many as there are cards in an
# RTX PRO server. All hosts see this clone and its .venv under the same path.
#
# For your site: HOST_INTERFACE is the network that mpirun, MPI and NCCL's
# bootstrap use, for instance bond0 (empty: they choose); NCCL_IB_HCA names the
# adapters of the fabric where NCCL shall not use all of them.
#
# `eisbach run` passes PATH on, stops all ranks in time on a signal, starts them
# again from their last checkpoint after a fault, and leaves out a host that failed
# twice. The same line goes on with a run that has ended before its time.
set -euo pipefail

[ $# -ge 2 ] || { sed -n '2,16s/^# \{0,1\}//p' "$0" >&2; exit 2; }
hosts="$1" config="$2"
shift 2
gpus="${GPUS:?set GPUS to the number of GPUs of each host}"
cd "$(dirname "$0")/../.."
# shellcheck disable=SC1091
source .venv/bin/activate

count=$(grep -cv '^[[:space:]]*\(#\|$\)' "$hosts")
slots=$(mktemp)
trap 'rm -f "$slots"' EXIT
sed -e 's/#.*//' -e '/^[[:space:]]*$/d' -e "s/[[:space:]]*\$/ slots=$gpus/" \
  "$hosts" >"$slots"

options=(-n $((count * gpus)) --hostfile "$slots" --map-by "ppr:$gpus:node"
         --bind-to none)
if [ -n "${HOST_INTERFACE:-}" ]; then
  options+=(--prtemca oob_tcp_if_include "$HOST_INTERFACE")
  set -- "network.interface=$HOST_INTERFACE" "$@"
fi
export NCCL_DEBUG="${NCCL_DEBUG:-WARN}"
for name in $(compgen -e | grep -E '^(NCCL_|EISBACH_|CUDA_)'); do
  options+=(-x "$name")
done
exec_line=(eisbach run -- mpirun "${options[@]}" "$PWD/.venv/bin/eisbach" train
           "$config" "$@")
printf '%s\n' "${exec_line[*]}"
"${exec_line[@]}"
