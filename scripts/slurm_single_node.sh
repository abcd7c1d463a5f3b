#!/usr/bin/env bash
# One node, all of its GPUs, from the repository's root:
#   sbatch scripts/slurm_single_node.sh my.yaml [ARGUMENT ...]      # arguments of `rtrl-chem train`
# How it ends and goes on: see slurm_multi_node.sh.
#SBATCH --job-name=rtrl-chem
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=32
#SBATCH --time=24:00:00
#SBATCH --signal=USR1@300
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.log
set -euo pipefail

config=${1:?give the config: sbatch scripts/slurm_single_node.sh CONFIG [ARGUMENT ...]}
shift
folder=$(python -c 'import sys, yaml; print(yaml.safe_load(open(sys.argv[1]))["output_dir"])' "$config")
[[ -f $folder/state.json ]] && set -- "$@" --resume

srun scripts/slurm_task.sh torchrun \
    --standalone --nproc_per_node "${SLURM_GPUS_ON_NODE:-1}" -m rtrl_chem train "$config" "$@"

# Ended without having finished: SLURM's signal, and more time is needed.
grep -q '"finished": true' "$folder/state.json" || scontrol requeue "$SLURM_JOB_ID"
