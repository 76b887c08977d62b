"""Fixtures of the gateway's unit tests."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from gateway_fakes import FakeClock, new_store

from gateway.adapters.store import SqlStore


@pytest.fixture
def clock() -> FakeClock:
    """A clock that stands still."""
    return FakeClock()


@pytest.fixture
async def store(tmp_path: Path, clock: FakeClock) -> AsyncIterator[SqlStore]:
    """A store over a new database."""
    made, database = new_store(tmp_path, clock)
    yield made
    await made.close()
    database.close()
