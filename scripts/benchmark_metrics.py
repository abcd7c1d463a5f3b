"""Time and memory of `rtrl-chem metrics` on many rows, beside what RDKit alone needs for the same strings.

    python scripts/benchmark_metrics.py [--molecules FILE ...] [--rows 10000 100000] [--processes 1 2]

Rows are made from a list of molecules (default: the bundled ones, which are fewer than 100,000 and then repeat): the
output is the target respelt, changed or broken. "Parsing" is RDKit reading each distinct string once, "chemistry" that
and the work these metrics ask of RDKit: canonical SMILES with and without stereo, InChI, three fingerprints. Both run
in one plain process, on a sample of the strings, scaled up to all; the share is the CPU time of chemistry over that of
the command. It may be above 100%: the command makes one fingerprint for all spellings of a molecule, and no InChI where
canonical SMILES are equal.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
from rdkit import Chem, rdBase
from rdkit.Chem import rdFingerprintGenerator, rdMolDescriptors

from rtrl_chem import chem
from rtrl_chem.data import read_corpus
from rtrl_chem.tasks import NAMING

SAMPLE = 5_000
MORGAN = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
PATHS = rdFingerprintGenerator.GetRDKitFPGenerator(maxPath=7, fpSize=2048)
ROUTE = ("--task", "naming", "--direction", "reverse")


@dataclass(frozen=True)
class Cost:
    """Wall clock and CPU seconds, peak memory in MB of all processes together."""

    seconds: float
    cpu: float
    megabytes: float


def main() -> None:
    """Make the rows, time RDKit and the command, print a table."""
    arguments = _arguments()
    molecules = [item for path in arguments.molecules for item in read_corpus(path, NAMING.left).items]
    random.Random(0).shuffle(molecules)
    chem.clear_cache()
    print(f"{len(molecules):,} molecules")
    print("   rows  distinct  processes  seconds     CPU  peak MB  parsing  chemistry  share  us/row")
    with tempfile.TemporaryDirectory() as folder:
        for rows in arguments.rows:
            path = Path(folder) / f"{rows}.jsonl"
            distinct = write_rows(path, molecules, rows)
            parsing, chemistry = raw_seconds(distinct)
            for processes in arguments.processes:
                cost = command_cost(path, processes)
                print(
                    f"{rows:7,}  {len(distinct):8,}  {processes:9}  {cost.seconds:7.1f}  {cost.cpu:6.1f}"
                    f"  {cost.megabytes:7.0f}  {parsing:7.1f}  {chemistry:9.1f}  {chemistry / cost.cpu:5.0%}"
                    f"  {1e6 * cost.seconds / rows:6.0f}",
                    flush=True,
                )


def write_rows(path: Path, molecules: Sequence[str], rows: int) -> list[str]:
    """Write a predictions file; the distinct strings in it."""
    rng = random.Random(rows)
    strings: set[str] = set()
    with path.open("w", encoding="utf-8") as file:
        for i in range(rows):
            target = molecules[i % len(molecules)]
            output = perturbed(target, molecules, rng)
            strings.update((target, output))
            file.write(json.dumps({"source": f"molecule {i}", "target": target, "output": output}) + "\n")
    return sorted(strings)


def perturbed(target: str, molecules: Sequence[str], rng: random.Random) -> str:
    """A third respelt, a quarter another atom somewhere, the others another molecule, broken or empty."""
    kind = rng.random()
    if kind < 0.35:
        return Chem.MolToSmiles(Chem.MolFromSmiles(target), doRandom=True)
    if kind < 0.6:
        return target.replace("C", "N", 1)
    if kind < 0.9:
        return rng.choice(molecules)
    return target[: len(target) // 2] if kind < 0.98 else ""


def raw_seconds(strings: Sequence[str]) -> tuple[float, float]:
    """CPU seconds of RDKit alone: parsing each string once, and all the chemistry the metrics need of it."""
    sample = random.Random(0).sample(strings, min(SAMPLE, len(strings)))
    scale = len(strings) / len(sample)
    with rdBase.BlockLogs():
        start = time.process_time()
        for text in sample:
            Chem.MolFromSmiles(text)
        parsed = time.process_time()
        for text in sample:
            all_chemistry(text)
        return scale * (parsed - start), scale * (time.process_time() - parsed)


def all_chemistry(text: str) -> None:
    """What the metrics ask of RDKit for one string."""
    mol = Chem.MolFromSmiles(text)
    if mol is None:
        return
    Chem.MolToSmiles(mol)
    Chem.MolToInchi(mol)
    rdMolDescriptors.GetMACCSKeysFingerprint(mol)
    PATHS.GetFingerprint(mol)
    MORGAN.GetFingerprint(mol)
    Chem.RemoveStereochemistry(mol)
    Chem.MolToSmiles(mol)


def command_cost(path: Path, processes: int) -> Cost:
    """What `rtrl-chem metrics` costs on a file."""
    call = [sys.executable, "-m", "rtrl_chem", "metrics", str(path), *ROUTE, "--json", "--processes", str(processes)]
    start, cpu, peak = time.perf_counter(), {}, 0.0
    with subprocess.Popen(call, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as command:
        root = psutil.Process(command.pid)
        while command.poll() is None:
            memory = 0.0
            for process in _family(root):
                try:
                    times = process.cpu_times()
                    cpu[process.pid] = times.user + times.system
                    memory += process.memory_info().rss
                except psutil.Error:
                    continue
            peak = max(peak, memory)
            time.sleep(0.1)
    if command.returncode:
        raise SystemExit(f"the command failed with status {command.returncode}: {' '.join(call)}")
    return Cost(time.perf_counter() - start, sum(cpu.values()), peak / 2**20)


def _family(root: psutil.Process) -> list[psutil.Process]:
    try:
        return [root, *root.children(recursive=True)]
    except psutil.Error:
        return []


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--molecules", nargs="+", default=["bundled:naming/unlabelled"], help="files of SMILES")
    parser.add_argument("--rows", nargs="+", type=int, default=[10_000, 100_000])
    parser.add_argument("--processes", nargs="+", type=int, default=[1, 2])
    return parser.parse_args()


if __name__ == "__main__":
    main()
