#!/usr/bin/env bash
# What srun starts on each node, by slurm_single_node.sh and slurm_multi_node.sh:
#   scripts/slurm_task.sh LAUNCHER [ARGUMENT ...]
# SLURM sends its signal to this process alone (unless cgroup.conf has SignalChildrenProcesses=yes): a launcher's workers
# are no children of SLURM's. So SIGUSR1 is handed on to the workers. The launcher itself would die of it and take the run
# with it, so it is told to ignore it; rtrl-chem sets a handler of its own.
set -uo pipefail

(trap "" USR1 && exec "$@") &
launcher=$!
trap 'pkill -USR1 -P "$launcher"' USR1
trap 'kill -TERM "$launcher"' TERM
while true; do
    wait "$launcher"
    status=$?
    kill -0 "$launcher" 2>/dev/null || exit "$status" # else it was a signal that ended the wait
done
