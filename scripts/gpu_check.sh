#!/usr/bin/env bash
# How fast this machine's first NVIDIA GPU trains, as a Markdown table: see gpu_check.py, which takes the arguments.
#   scripts/gpu_check.sh [--out gpu_check.md] [--shapes 0.5B 1.5B 8B] [--ways lora full] [--steps 3] ...
set -euo pipefail
cd "$(dirname "$0")/.."
export CUDA_VISIBLE_DEVICES="${CUDA_VISIBLE_DEVICES:-0}" HF_HUB_OFFLINE=1
export PYTORCH_CUDA_ALLOC_CONF="${PYTORCH_CUDA_ALLOC_CONF:-expandable_segments:True}"
python=${PYTHON:-$([[ -x .venv/bin/python ]] && echo .venv/bin/python || echo python3)}
if [[ " $* " != *" --smoke "* ]]; then
    nvidia-smi --query-gpu=name,memory.total,driver_version,power.limit --format=csv
fi
PYTHONPATH=".${PYTHONPATH:+:$PYTHONPATH}" exec "$python" scripts/gpu_check.py "$@"
