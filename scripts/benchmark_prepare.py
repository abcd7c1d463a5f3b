"""Speed and memory of `rtrl-chem prepare`, beside RDKit's own loop over the same molecules.

    python scripts/benchmark_prepare.py MOLECULES [--rows 200000] [--workers 2] [--copies 1] [--memory]

MOLECULES is a file of SMILES, such as MOSES's train.csv. The bare loop reads and writes every SMILES (MolFromSmiles,
MolToSmiles) in as many processes as `prepare` has workers, just before it and just after, for a machine may change its
speed by the minute; its time starts when all of them are ready. The share is by wall clock; on a busy machine look at
the one by CPU time.
With --copies K the rows are K spellings of each molecule, in K files: the canonical one and K - 1 random ones, which
deduplication must undo.
With --memory it is memory that is measured, of all processes of the command together (proportional set size), ten
times a second. Not both at once: each look takes the kernel some 20 ms, a tenth of what two cores can do.
"""

from __future__ import annotations

import argparse
import itertools
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import psutil
from rdkit import Chem, rdBase

from rtrl_chem.data.prepare.inputs import Reading, find_inputs
from rtrl_chem.data.prepare.settings import Settings

BLOCK = 20_000


@dataclass(frozen=True)
class Cost:
    """Wall clock and CPU seconds."""

    seconds: float
    cpu: float


def main() -> None:
    """Write the rows, measure the command and, for its speed, the bare loop; print what was found."""
    arguments = _arguments()
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as scratch:
        rows, corpus = Path(scratch) / "rows", Path(scratch) / "corpus"
        call = command(rows, corpus, arguments.workers)
        with ProcessPoolExecutor(arguments.workers, mp_context=get_context("spawn")) as pool:
            molecules = arguments.rows // arguments.copies
            written = write_rows(pool, arguments.molecules, molecules, arguments.copies, rows)
            if arguments.memory:
                found = f"peak memory {command_memory(call):,.0f} MB"
            else:
                before = bare_loop(pool, arguments.workers, rows)
                cost = command_cost(call)
                found = shares(before, cost, bare_loop(pool, arguments.workers, rows), written * arguments.copies)
        manifest = json.loads((corpus / "manifest.json").read_text(encoding="utf-8"))
    rows_in, kept, dropped = manifest["rows_in"], manifest["kept"], manifest["dropped"]
    print(f"{rows_in:,} rows of {written:,} molecules, {kept:,} kept, dropped {dropped}\n{found}")


def shares(before: Cost, command: Cost, after: Cost, rows: int) -> str:
    """Both loops beside the command, and the share of their mean that it reaches."""
    lines = [
        f"{name:16s} {cost.seconds:8.1f} s  {rows / cost.seconds:8,.0f} rows/s  CPU {cost.cpu:8.1f} s"
        for name, cost in (("bare loop before", before), ("prepare", command), ("bare loop after", after))
    ]
    by_clock = (before.seconds + after.seconds) / 2 / command.seconds
    by_cpu = (before.cpu + after.cpu) / 2 / command.cpu
    return "\n".join([*lines, f"share            {by_clock:8.2f} by wall clock, {by_cpu:.2f} by CPU time"])


# ---- rows -----------------------------------------------------------------------------------------------------------


def write_rows(pool: ProcessPoolExecutor, source: str, molecules: int, copies: int, folder: Path) -> int:
    """Write `copies` files of that many spellings of the first molecules; the number of molecules there were."""
    folder.mkdir()
    written = 0
    with ExitStack() as stack:
        files = [stack.enter_context((folder / f"{i:03d}.smi").open("w")) for i in range(copies)]
        for block in pool.map(spellings, _blocks(source, molecules), itertools.repeat(copies)):
            written += len(block)
            for spelt in block:
                for file, smiles in zip(files, spelt, strict=True):
                    file.write(smiles + "\n")
    return written


def _blocks(source: str, molecules: int) -> Iterator[list[str]]:
    settings = Settings(domain="molecule")
    left = molecules
    for chunk in Reading(find_inputs([source], settings, Path("nowhere")), settings).chunks():
        yield chunk.cells[:left]
        left -= len(chunk)
        if left <= 0:
            return


def spellings(block: list[str], copies: int) -> list[list[str]]:
    """Each SMILES as given, and in random spellings."""
    if copies == 1:
        return [[smiles] for smiles in block]
    with rdBase.BlockLogs():
        mols = [(smiles, Chem.MolFromSmiles(smiles)) for smiles in block]
        return [
            [smiles, *Chem.MolToRandomSmilesVect(mol, copies - 1, randomSeed=1 + i)]
            for i, (smiles, mol) in enumerate(mols)
            if mol is not None
        ]


# ---- costs ----------------------------------------------------------------------------------------------------------


def bare_loop(pool: ProcessPoolExecutor, workers: int, folder: Path) -> Cost:
    """RDKit's loop, the rows shared out in blocks; reading the files is not counted."""
    lines = [line for path in sorted(folder.iterdir()) for line in path.read_text().split()]
    blocks = [lines[start : start + BLOCK] for start in range(0, len(lines), BLOCK)]
    list(pool.map(loop, [[] for _ in range(workers)]))
    begun = time.perf_counter()
    cpu = sum(pool.map(loop, blocks))
    return Cost(time.perf_counter() - begun, cpu)


def loop(block: Sequence[str]) -> float:
    """Read and write each SMILES; the CPU seconds it took."""
    begun = time.process_time()
    with rdBase.BlockLogs():
        for smiles in block:
            Chem.MolToSmiles(Chem.MolFromSmiles(smiles))
    return time.process_time() - begun


def command(source: Path, out: Path, workers: int) -> list[str]:
    """`rtrl-chem prepare` with its defaults; of the benchmarks it removes the bundled ones."""
    call = [sys.executable, "-m", "rtrl_chem", "prepare", str(source), "--out", str(out), "--workers", str(workers)]
    return [*call, "--benchmarks", "bundled"]


def command_cost(call: list[str]) -> Cost:
    """What a command and its processes cost."""
    begun, usage = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(call, stdout=subprocess.DEVNULL, check=True)
    seconds, ended = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    return Cost(seconds, ended.ru_utime + ended.ru_stime - usage.ru_utime - usage.ru_stime)


def command_memory(call: list[str]) -> float:
    """The most megabytes that a command and its processes hold at once."""
    peak = 0.0
    with subprocess.Popen(call, stdout=subprocess.DEVNULL) as running:
        family = psutil.Process(running.pid)
        while running.poll() is None:
            peak = max(peak, memory_of(family))
            time.sleep(0.1)
    if running.returncode:
        raise SystemExit(f"the command failed with status {running.returncode}: {' '.join(call)}")
    return peak


def memory_of(process: psutil.Process) -> float:
    """Megabytes of a process and its children, shared pages counted once."""
    total = 0
    try:
        for one in (process, *process.children(recursive=True)):
            total += one.memory_full_info().pss
    except psutil.Error:
        pass
    return total / 2**20


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("molecules", help="a file of SMILES")
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--copies", type=int, default=1, help="spellings of each molecule")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--memory", action="store_true", help="measure peak memory, not speed")
    parser.add_argument("--scratch", help="folder for the rows and the corpus; default: that of temporary files")
    return parser.parse_args()


if __name__ == "__main__":
    main()
