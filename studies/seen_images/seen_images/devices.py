"""Where PyTorch computes, in which numbers, and with how many threads."""

import os

from neuroface import NeuroFaceError

import torch

NUMBERS = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def device_of(setting: str) -> torch.device:
    """The device that ``DEVICE`` names; "auto" is a GPU if PyTorch sees one."""
    if setting == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    there = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if not there[setting.partition(":")[0]]:
        raise NeuroFaceError(
            f'DEVICE = {setting!r}, and PyTorch {torch.__version__} sees no such device. Set DEVICE = "cpu".'
        )
    return torch.device(setting)


def numbers_of(setting: str, device: torch.device) -> torch.dtype:
    """What ``PRECISION`` means on a device; "auto" is float16 with CUDA only.

    On MPS, Apple's GPU, float16 was reported to break this pipeline (diffusers, issue 4480), and
    nobody measured it here.
    """
    if setting == "auto":
        return torch.float16 if device.type == "cuda" else torch.float32
    if setting == "float16" and device.type == "cpu":
        raise NeuroFaceError(
            'PRECISION = "float16" is for GPUs, and DEVICE is the CPU. Set PRECISION = "auto".'
        )
    return NUMBERS[setting]


def share_cores(n_jobs: int) -> None:
    """Give this process its share of the cores, and no more than OMP_NUM_THREADS where that is set.

    Threads of several processes on one core wait for each other.
    """
    cores = os.cpu_count() or 1
    allowed = os.environ.get("OMP_NUM_THREADS", "")
    torch.set_num_threads(
        max(1, min(cores // n_jobs, int(allowed) if allowed.isdigit() else cores))
    )
