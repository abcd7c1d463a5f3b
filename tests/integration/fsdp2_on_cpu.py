"""rtrl-chem under FSDP2 on CPUs, for tests: `torchrun --nproc_per_node 2 fsdp2_on_cpu.py train CONFIG`.

Accelerate offers FSDP on accelerators only: on CPUs its state stays at MULTI_CPU, whatever the environment says, though
torch's `fully_shard` works with gloo. So its state is told that these processes have accelerators.

With STOP_AFTER=N in the environment every process gets SIGUSR1 at the end of its N-th optimizer step.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from accelerate import PartialState
from accelerate.utils import DistributedType

from rtrl_chem.cli import main
from rtrl_chem.training.resumable import _Saving

ENVIRONMENT = {
    "ACCELERATE_USE_FSDP": "true",
    "FSDP_VERSION": "2",
    "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
    "FSDP_RESHARD_AFTER_FORWARD": "true",
    "FSDP_CPU_RAM_EFFICIENT_LOADING": "false",
}
as_it_is = PartialState.__init__


def pretend(self: PartialState, *args: Any, **kwargs: Any) -> None:
    as_it_is(self, *args, **kwargs)
    if self.distributed_type is DistributedType.MULTI_CPU:
        self.distributed_type = DistributedType.MULTI_GPU


def stop_after(steps: int) -> None:
    at_the_end, numbers = _Saving.on_step_end, iter(range(1, 1000))

    def on_step_end(self: _Saving, *args: Any, **kwargs: Any) -> None:
        if next(numbers) == steps:
            os.kill(os.getpid(), signal.SIGUSR1)
        at_the_end(self, *args, **kwargs)

    _Saving.on_step_end = on_step_end  # type: ignore[method-assign]


if __name__ == "__main__":  # who collects tests imports every file here
    os.environ |= ENVIRONMENT
    PartialState.__init__ = pretend
    stop_after(int(os.environ.get("STOP_AFTER", "0")))
    sys.exit(main())
