"""Settings for all tests: no deadlines, because the first call of a kernel compiles it."""

import os

from hypothesis import settings

settings.register_profile("project", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("project")
