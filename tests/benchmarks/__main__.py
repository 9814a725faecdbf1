"""`python -m tests.benchmarks [name …]` prints a Markdown table; without names, of all benchmarks."""

import argparse
import multiprocessing
import os
import sys
import time

from .measure import HEADER, print_rows

NAMES = ("train", "http", "snapshot", "memory", "history", "latency", "streams", "bad_input", "page", "store")
UNSET = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
THREADS = ("OPENBLAS", "MKL", "OMP", "BLIS", "VECLIB_MAXIMUM")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"which to run: {', '.join(NAMES)}")
    names = parser.parse_args().names or NAMES
    if unknown := set(names) - set(NAMES):
        parser.error(f"no benchmark is called {', '.join(sorted(unknown))}; takes {', '.join(NAMES)}")
    _in_clean_environment()

    from .machine import describe  # imports numpy, so only now

    print(describe(), *HEADER, sep="\n", flush=True)
    failed = []
    for name in names:
        # Each in a process of its own: all that PyTorch holds, for one, slows the garbage collector for what follows.
        started = time.perf_counter()
        process = multiprocessing.get_context("spawn").Process(target=print_rows, args=(name,))
        process.start()
        process.join()
        failed += [name] if process.exitcode else []
        print(f"{name}: {time.perf_counter() - started:.0f} s", file=sys.stderr)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def _in_clean_environment() -> None:
    """Start again without what chooses other BLAS kernels than numpy's own choice, and with one thread."""
    wanted = {key: value for key, value in os.environ.items() if key not in UNSET}
    wanted |= {f"{library}_NUM_THREADS": "1" for library in THREADS}
    if wanted != dict(os.environ):
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], wanted)


if __name__ == "__main__":
    main()
