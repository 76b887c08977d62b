"""What every test starts from, whatever the test before it has left behind.

Why: programs set up telemetry for their whole process, and here many programs' parts share one process. Without this,
a test whose program wrote to a file would break the next one that writes at all.
"""

import logging
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import settings

# Time is no verdict here (machines differ), and a run must be repeatable: the same cases every time.
settings.register_profile("house", deadline=None, derandomize=True)
settings.load_profile("house")


@pytest.fixture(autouse=True)
def _own_telemetry() -> Iterator[None]:
    """Undo what a test's program configured for the process."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)
