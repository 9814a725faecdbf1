"""`python -m tests.benchmarks [name …]` prints a Markdown table; without names, of all benchmarks."""

import argparse
import importlib
import os
import sys
import time

NAMES = ("train", "http", "snapshot", "memory", "latency", "bad_input")
UNSET = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
THREADS = ("OPENBLAS", "MKL", "OMP", "BLIS", "VECLIB_MAXIMUM")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"which to run: {', '.join(NAMES)}")
    names = parser.parse_args().names or NAMES
    if unknown := set(names) - set(NAMES):
        parser.error(f"no benchmark is called {', '.join(sorted(unknown))}; takes {', '.join(NAMES)}")
    _in_clean_environment()

    # Only now may anything import numpy.
    from .machine import describe
    from .measure import HEADER, Skip

    print(describe(), *HEADER, sep="\n", flush=True)
    notes = []
    for name in names:
        started = time.perf_counter()
        try:
            for row in importlib.import_module(f"{__package__}.{name}").run():
                print(row, flush=True)
        except Skip as reason:
            notes.append(f"{name} was left out: {reason}")
        print(f"{name}: {time.perf_counter() - started:.0f} s", file=sys.stderr)
    print("", *notes, sep="\n")


def _in_clean_environment() -> None:
    """Start again without what chooses other BLAS kernels than numpy's own choice, and with one thread."""
    wanted = {key: value for key, value in os.environ.items() if key not in UNSET}
    wanted |= {f"{library}_NUM_THREADS": "1" for library in THREADS}
    if wanted != dict(os.environ):
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], wanted)


if __name__ == "__main__":
    main()
