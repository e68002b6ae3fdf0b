"""Makes two pools of threads on the same cores get along; imported before anything else.

Sparse kernels run on Numba's OpenMP threads, dense layers on BLAS's own. By default an idle OpenMP
thread spins for milliseconds before it sleeps and BLAS's thread has to wait for the core: on two
cores that made a dense training step five times slower. A short spin costs the sparse kernels
nothing. Whoever sets the variables himself is left alone; results do not depend on them.
"""

import os

SPINS = "2000"  # tens of microseconds: longer than the gap between two kernels of a layer

if not {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & set(os.environ):
    os.environ["GOMP_SPINCOUNT"] = SPINS
