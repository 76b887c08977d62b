"""The writer: group commit, isolation of jobs, durable before answered, fatal errors."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest
from gateway_fakes import new_database
from gateway_records import intake_of
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from gateway.adapters import writer as module
from gateway.adapters.database import Database
from gateway.adapters.writer import GroupWriter
from gateway.errors import BusyError, FatalStorageError, StorageError
from gateway.ports import Admitted, Intake

GROUPS: list[int] = []


def admit_many(_: Connection, intakes: Sequence[Intake]) -> list[Admitted]:
    """Remember the group's size; refuse whoever brings the reference ``bad``."""
    GROUPS.append(len(intakes))
    if any("bad" in intake.refs for intake in intakes):
        raise StorageError("E_STORAGE_FULL", "no room for bad")
    return [Admitted([1], [(1, 0)], frozenset(), frozenset(), 1) for _ in intakes]


@pytest.fixture
async def made(tmp_path: Path) -> AsyncIterator[tuple[GroupWriter, Database]]:
    """A running writer."""
    GROUPS.clear()
    database = new_database(tmp_path)
    writer = GroupWriter(database.writer, admit_many)
    yield writer, database
    if writer.alive():
        await writer.close()
    database.close()


def insert(name: str) -> Callable[[Connection], str]:
    """Return a job that writes a fact."""

    def run(connection: Connection) -> str:
        connection.execute(text("INSERT INTO facts (name, value) VALUES (:n, x'00')"), {"n": name})
        return name

    return run


def facts(database: Database) -> list[str]:
    """Return the facts that another connection sees: what is committed."""
    with database.readers.connect() as connection:
        return list(connection.execute(text("SELECT name FROM facts ORDER BY name")).scalars())


async def test_an_answer_means_committed(made: tuple[GroupWriter, Database]) -> None:
    """When a call returns another connection sees its work."""
    writer, database = made
    assert await writer.call(insert("a")) == "a"
    assert facts(database) == ["a"]


async def test_what_waits_is_committed_together(made: tuple[GroupWriter, Database]) -> None:
    """Intakes that arrive while a commit runs share the next one."""
    writer, _ = made
    gate = threading.Event()

    def hold(_: Connection) -> None:
        gate.wait(5)

    first = asyncio.create_task(writer.call(hold))
    await asyncio.sleep(0.05)
    rest = [asyncio.create_task(writer.admit(intake_of([n]))) for n in range(20)]
    await asyncio.sleep(0.05)
    gate.set()
    await asyncio.gather(first, *rest)
    assert GROUPS == [20]


async def test_one_bad_job_takes_nobody_along(made: tuple[GroupWriter, Database]) -> None:
    """A failing group is rolled back and its jobs are tried one by one."""
    writer, database = made
    gate = threading.Event()
    first = asyncio.create_task(writer.call(lambda _: gate.wait(5)))
    await asyncio.sleep(0.05)
    jobs = [
        asyncio.create_task(writer.call(insert("a"))),
        asyncio.create_task(writer.admit(intake_of([1], refs=["bad"]))),
        asyncio.create_task(writer.call(insert("b"))),
        asyncio.create_task(writer.admit(intake_of([2]))),
    ]
    await asyncio.sleep(0.05)
    gate.set()
    await first
    done = await asyncio.gather(*jobs, return_exceptions=True)
    assert done[0] == "a"
    assert isinstance(done[1], StorageError)
    assert done[2] == "b"
    assert isinstance(done[3], Admitted)
    assert facts(database) == ["a", "b"]


async def test_a_cancelled_caller_does_not_cancel_the_write(made: tuple[GroupWriter, Database]) -> None:
    """A client that went away does not mean an unwritten record."""
    writer, database = made
    gate = threading.Event()
    first = asyncio.create_task(writer.call(lambda _: gate.wait(5)))
    await asyncio.sleep(0.05)
    second = asyncio.create_task(writer.call(insert("late")))
    await asyncio.sleep(0.05)
    second.cancel()
    gate.set()
    await first
    await writer.call(lambda _: None)
    assert facts(database) == ["late"]


async def test_closing_finishes_what_waits(tmp_path: Path) -> None:
    """Everything handed over before the close is committed and answered."""
    database = new_database(tmp_path)
    writer = GroupWriter(database.writer, admit_many)
    jobs = [asyncio.create_task(writer.call(insert(f"n{n}"))) for n in range(5)]
    await asyncio.sleep(0)
    await writer.close()
    assert await asyncio.gather(*jobs) == [f"n{n}" for n in range(5)]
    assert len(facts(database)) == 5
    assert not writer.alive()
    database.close()


async def test_a_fatal_error_ends_the_writer(made: tuple[GroupWriter, Database]) -> None:
    """Everybody who waits is told, later calls fail at once, and `failed` says why."""
    writer, _ = made

    def broken(_: Connection) -> None:
        original = OperationalError("disk I/O error", None, Exception("disk I/O error"))
        raise original

    jobs = [asyncio.create_task(writer.call(broken)) for _ in range(3)]
    for done in await asyncio.gather(*jobs, return_exceptions=True):
        assert isinstance(done, FatalStorageError)
    assert (await writer.failed).code == "E_STORAGE_FAILED"
    with pytest.raises(FatalStorageError):
        await writer.call(insert("never"))
    assert not writer.alive()


async def test_the_queue_has_a_limit(
    made: tuple[GroupWriter, Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond it callers are told to come back instead of piling up."""
    writer, _ = made
    monkeypatch.setattr(module, "WAITING_MAX", 2)
    gate = threading.Event()
    jobs = [asyncio.create_task(writer.call(lambda _: gate.wait(5))) for _ in range(2)]
    await asyncio.sleep(0.05)
    with pytest.raises(BusyError, match="E_BUSY"):
        await writer.call(insert("x"))
    gate.set()
    await asyncio.gather(*jobs)
