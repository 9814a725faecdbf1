"""Gradstep: a step debugger for neural-network training, over HTTP."""

import os

__version__ = "0.1.0"

# One BLAS thread: small products are slower on more, and the order of a sum, so its last bits, would follow
# the host's cores. Read when numpy is first imported, so it is set before anything else here can do that.
for _library in ("OPENBLAS", "MKL", "OMP", "BLIS", "VECLIB_MAXIMUM"):
    os.environ.setdefault(f"{_library}_NUM_THREADS", "1")
