"""What machines have: this one, and those of a Slurm cluster, of which a job asks no more."""

import os
import subprocess
from typing import NamedTuple

_PATIENCE = 20  # seconds that sinfo may take


class Node(NamedTuple):
    """One machine of a cluster."""

    gpus: int  # 1 where it has any
    cores: int
    memory: int  # GB; 0 where the cluster does not count it


def cores() -> int:
    """The cores of this machine that the process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def asked(what: str, most: int, partition: str | None = None) -> int | None:
    """So much ``what`` (cores, gpus or memory in GB) that one machine of the partition has it, ``most`` at the most.

    A machine with GPUs where there is one. None where it has none of it, so that nothing is asked for; without an
    answer of Slurm the wish stands, but for GPUs.
    """
    found = nodes(partition)
    if not found:
        return None if what == "gpus" else most
    largest = max(found, key=lambda node: (node.gpus, min(node.cores, 8), node.memory))
    return min(most, getattr(largest, what)) or None


def nodes(partition: str | None = None) -> list[Node]:
    """The machines of a partition, by default of all; none where Slurm does not answer."""
    command = [
        "sinfo",
        "--noheader",
        "--Node",
        "--format=%G|%c|%m",
        *([f"--partition={partition}"] if partition else []),
    ]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, check=True).stdout
        return [_node(*line.split("|")) for line in told.splitlines() if line.strip()]
    except (OSError, subprocess.SubprocessError, ValueError, TypeError):
        return []


def _node(resources: str, cores: str, megabytes: str) -> Node:
    """``gpu:a100:4(S:0-1)|64|515000`` as sinfo prints it."""
    return Node(int("gpu" in resources), int(cores), int(megabytes.rstrip("+")) // 1024)
