"""What is installed and what works, in sentences."""

import importlib.metadata
import platform
from dataclasses import dataclass

from .language import told
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
        return Finding(name, False, told("{name} is missing: install it with  python -m pip install {name}", name=name))


def examine() -> list[Finding]:
    """Findings about Python, packages, graphics card, memory and renderers, most basic first."""
    import psutil
    import torch

    from .kernels.optional import load_kernels
    from .shading.visibility import NO_SHADOWS, load_rays

    findings = [Finding("Python", True, f"Python {platform.python_version()} on {platform.system()} {platform.machine()}")]
    findings += [_package(name) for name in ("torch", "numpy", "cholespy")]
    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        text = told("{card}: {free:.1f} of {total:.1f} GiB free", card=torch.cuda.get_device_name(), free=free / 2**30, total=total / 2**30)
        findings.append(Finding("GPU", True, text))
    else:
        findings.append(Finding("GPU", False, told("No CUDA graphics card: fits run on the processor")))
    memory = psutil.virtual_memory()
    text = told("{free:.1f} of {total:.1f} GiB of memory free", free=memory.available / 2**30, total=memory.total / 2**30)
    findings.append(Finding("Memory", True, text))
    for name, why_not in available().items():
        findings.append(Finding(f"Renderer {name}", why_not is None, why_not or told("Renderer {name} works", name=name)))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    load_rays(torch.device(device))
    findings.append(Finding("Shadows", not NO_SHADOWS, NO_SHADOWS or told("Lamps cast shadows")))
    renderer, why = choose("auto", device)
    load_kernels(torch.device(device))  # the renderer's too, which are there now
    findings.append(Finding("Choice", True, told("Auto uses {renderer}: {why}", renderer=renderer.capabilities.name, why=why)))
    return findings
