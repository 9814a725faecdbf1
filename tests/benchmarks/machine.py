"""What the numbers were measured on."""

import ctypes
import os
import platform
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np


def describe() -> str:
    """One line: processor, cores, Python, the libraries that are measured or measured against, and the BLAS kernel."""
    packages = " · ".join(f"{name} {_version(name)}" for name in ("numpy", "torch", "fastapi", "uvicorn", "orjson"))
    return (
        f"{_processor()}, {os.cpu_count()} cores · Python {platform.python_version()} · {packages} · "
        f"BLAS {_kernel()}, 1 thread\n"
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or platform.machine()
    fields = {name: re.search(rf"^{name}\s*: (.*)", text, re.MULTILINE) for name in ("model name", "cpu family")}
    found = {name: match.group(1) for name, match in fields.items() if match}
    family = f" (family {found['cpu family']})" if "cpu family" in found else ""
    return found.get("model name", platform.machine()) + family


def _kernel() -> str:
    """The kernels that OpenBLAS took for this processor; where it cannot be asked, what numpy was built with."""
    try:
        path = re.search(r"/\S*openblas\S*\.so\S*", Path("/proc/self/maps").read_text())
        ask = ctypes.CDLL(path.group()).scipy_openblas_get_corename64_ if path else None
    except (OSError, AttributeError):
        ask = None
    if ask is None:
        built: dict[str, dict[str, dict[str, str]]] = np.show_config(mode="dicts")  # type: ignore[assignment]
        return f"built as {built['Build Dependencies']['blas'].get('name')}"
    ask.restype = ctypes.c_char_p
    return f"OpenBLAS {ask().decode()}"
