#!/usr/bin/env bash
# Several nodes, all of their GPUs, from the repository's root:
#   sbatch --nodes 4 scripts/slurm_multi_node.sh my.yaml [ARGUMENT ...]      # arguments of `rtrl-chem train`
#   ACCELERATE_CONFIG=configs/accelerate/fsdp2.yaml sbatch --nodes 2 scripts/slurm_multi_node.sh my.yaml
#
# 5 minutes before the time is up SLURM sends SIGUSR1, which slurm_task.sh hands on: the run ends its training step, saves
# and exits with 0; the job is queued again and goes on with --resume. Steps that take longer need more: sbatch --signal
# USR1@900. Options of sbatch on the command line win over those here. output_dir must stand in the config, not in --set.
#SBATCH --job-name=rtrl-chem
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=32
#SBATCH --time=24:00:00
#SBATCH --signal=USR1@300
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.log
set -euo pipefail

config=${1:?give the config: sbatch scripts/slurm_multi_node.sh CONFIG [ARGUMENT ...]}
shift
folder=$(python -c 'import sys, yaml; print(yaml.safe_load(open(sys.argv[1]))["output_dir"])' "$config")
[[ -f $folder/state.json ]] && set -- "$@" --resume

# $SLURM_NODEID is another in each task.
srun --kill-on-bad-exit=1 \
    bash -c 'exec scripts/slurm_task.sh accelerate launch --machine_rank "$SLURM_NODEID" "$@"' task \
    --config_file "${ACCELERATE_CONFIG:-configs/accelerate/ddp.yaml}" \
    --num_machines "$SLURM_JOB_NUM_NODES" \
    --num_processes "$((SLURM_JOB_NUM_NODES * ${SLURM_GPUS_ON_NODE:-1}))" \
    --main_process_ip "$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)" \
    --main_process_port "$((20000 + SLURM_JOB_ID % 20000))" \
    -m rtrl_chem train "$config" "$@"

# Ended without having finished: SLURM's signal, and more time is needed.
grep -q '"finished": true' "$folder/state.json" || scontrol requeue "$SLURM_JOB_ID"
