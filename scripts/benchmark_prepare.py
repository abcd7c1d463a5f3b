"""Speed and memory of `rtrl-chem prepare`, beside RDKit's own loop over the same molecules.

    python scripts/benchmark_prepare.py MOLECULES [--rows 200000] [--workers 2] [--copies 1]

MOLECULES is a file of SMILES, such as MOSES's train.csv. The bare loop reads and writes every SMILES (MolFromSmiles,
MolToSmiles) in as many processes as `prepare` has workers, just before it; its time starts when all of them are ready.
With --copies K the rows are K spellings of each molecule, in K files: the canonical one and K - 1 random ones, which
deduplication must undo. Memory is that of all processes of the command together (proportional set size), sampled ten
times a second. The share is by wall clock; on a busy machine look at the one by CPU time.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
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
    """Wall clock and CPU seconds, peak memory in MB of all processes together (0: not measured)."""

    seconds: float
    cpu: float
    megabytes: float = 0.0


def main() -> None:
    """Write the rows, time the bare loop and the command, print what they cost."""
    arguments = _arguments()
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as scratch:
        folder = Path(scratch)
        molecules = arguments.rows // arguments.copies
        with ProcessPoolExecutor(arguments.workers, mp_context=get_context("spawn")) as pool:
            written = write_rows(pool, arguments.molecules, molecules, arguments.copies, folder / "rows")
            bare = None if arguments.no_loop else bare_loop(pool, arguments.workers, folder / "rows")
        cost = command_cost(folder / "rows", folder / "corpus", arguments.workers)
        manifest = json.loads((folder / "corpus" / "manifest.json").read_text(encoding="utf-8"))
    rows = manifest["rows_in"]
    print(f"{rows:,} rows of {written:,} molecules, {manifest['kept']:,} kept, dropped {manifest['dropped']}")
    if bare is not None:
        print(f"bare loop  {bare.seconds:8.1f} s  {rows / bare.seconds:8,.0f} rows/s  CPU {bare.cpu:8.1f} s")
    print(f"prepare    {cost.seconds:8.1f} s  {rows / cost.seconds:8,.0f} rows/s  CPU {cost.cpu:8.1f} s")
    if bare is not None:
        print(f"share      {bare.seconds / cost.seconds:8.2f} by wall clock, {bare.cpu / cost.cpu:.2f} by CPU time")
    print(f"peak memory {cost.megabytes:,.0f} MB")


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
    """RDKit's loop, the rows shared out in blocks; reading the file and handing out rows is not counted."""
    lines = itertools.chain.from_iterable(path.read_text().split() for path in sorted(folder.iterdir()))
    list(pool.map(loop, [[] for _ in range(workers)]))
    seconds = cpu = 0.0
    while blocks := list(itertools.islice(iter(lambda: list(itertools.islice(lines, BLOCK)), []), 5 * workers)):
        begun = time.perf_counter()
        cpu += sum(pool.map(loop, blocks))
        seconds += time.perf_counter() - begun
    return Cost(seconds, cpu)


def loop(block: Sequence[str]) -> float:
    """Read and write each SMILES; the CPU seconds it took."""
    begun = time.process_time()
    with rdBase.BlockLogs():
        for smiles in block:
            Chem.MolToSmiles(Chem.MolFromSmiles(smiles))
    return time.process_time() - begun


def command_cost(source: Path, out: Path, workers: int) -> Cost:
    """What `rtrl-chem prepare` with its defaults costs; of the benchmarks it removes the bundled ones."""
    call = [sys.executable, "-m", "rtrl_chem", "prepare", str(source), "--out", str(out), "--workers", str(workers)]
    begun, peak = time.perf_counter(), 0.0
    with subprocess.Popen([*call, "--benchmarks", "bundled"], stdout=subprocess.DEVNULL) as command:
        family = psutil.Process(command.pid)
        while (ended := os.wait4(command.pid, os.WNOHANG))[0] == 0:
            peak = max(peak, memory_of(family))
            time.sleep(0.1)
        command.returncode = os.waitstatus_to_exitcode(ended[1])
    seconds = time.perf_counter() - begun
    if command.returncode:
        raise SystemExit(f"the command failed with status {command.returncode}: {' '.join(call)}")
    usage = ended[2]
    return Cost(seconds, usage.ru_utime + usage.ru_stime, peak)


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
    parser.add_argument("--no-loop", action="store_true", help="memory only, without the bare loop")
    parser.add_argument("--scratch", help="folder for the rows and the corpus; default: that of temporary files")
    return parser.parse_args()


if __name__ == "__main__":
    main()
