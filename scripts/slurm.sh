#!/usr/bin/env bash
# Runs the template of SLURM, mpirun inside sbatch and srun under a SLURM of two
# nodes that is made for it: submit, scancel, time limits, requeue, a rank and a
# node that are lost; see scripts/slurm/__main__.py. As root; installs what it
# needs, and leaves the machine's own /etc/slurm as it is.
#
#   scripts/slurm.sh [--only WORDS]...
set -euo pipefail
cd "$(dirname "$0")/.."
missing=()
# The last is what srun --mpi=pmix loads, by a name that is for developers.
for package in iproute2 slurmctld slurmd slurm-client munge libpmix-dev; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null |
    grep -q 'ok installed' || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
    --no-install-recommends "${missing[@]}" >/dev/null
fi
# shellcheck disable=SC1091
source .venv/bin/activate
cd scripts
exec python -m slurm "$@"
