"""What is installed and what works, in sentences."""

import importlib.metadata
import platform
from dataclasses import dataclass

from .renderers.table import available, choose


@dataclass(frozen=True)
class Finding:
    """One part of the backend."""

    part: str
    ok: bool
    sentence: str


def _package(name: str) -> Finding:
    try:
        return Finding(name, True, f"{name} {importlib.metadata.version(name)}")
    except importlib.metadata.PackageNotFoundError:
        return Finding(name, False, f"{name} is missing: install it with  python -m pip install {name}")


def examine() -> list[Finding]:
    """Findings about Python, packages, graphics card, memory and renderers, most basic first."""
    import psutil
    import torch

    findings = [Finding("Python", True, f"Python {platform.python_version()} on {platform.system()} {platform.machine()}")]
    findings += [_package(name) for name in ("torch", "numpy", "cholespy")]
    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        findings.append(Finding("GPU", True, f"{torch.cuda.get_device_name()}: {free / 2**30:.1f} of {total / 2**30:.1f} GiB free"))
    else:
        findings.append(Finding("GPU", False, "No CUDA graphics card: fits run on the processor"))
    memory = psutil.virtual_memory()
    findings.append(Finding("Memory", True, f"{memory.available / 2**30:.1f} of {memory.total / 2**30:.1f} GiB of memory free"))
    for name, why_not in available().items():
        findings.append(Finding(f"Renderer {name}", why_not is None, why_not or f"Renderer {name} works"))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    renderer, why = choose("auto", device)
    findings.append(Finding("Choice", True, f"Auto uses {renderer.capabilities.name}: {why}"))
    return findings
