"""kill -9 in the middle of everything, full disks, and folders that were cut, emptied or set back.

A child process promises and prints; the parent kills it, starts it again, and compares what it printed with
what it still holds. (A kill leaves the kernel's memory alone: it proves the order of writes, not the disk's
honesty. Unsynced writes are dropped in the unit tests, with the store in memory.)
"""

import os
import random
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import store_child
from store_world import NODE

from ledger.errors import StoreDamagedError, StoreError
from ledger.headfile import Slot, Standing, Verdict, judge, judge_root, read_slot
from ledger.proof import root_at
from ledger.store_chain import ChainStore
from ledger.store_prepare import prepare


@dataclass(frozen=True)
class _Told:
    """A line of the child: what must not be lost."""

    counter: int
    last_height: int
    last_hash: str
    commit: int
    commit_hash: str
    size: int
    root: str


def _start(folder: Path, seed: int, *more: str) -> "subprocess.Popen[str]":
    """Start a child; what it tells goes to a file, since lines in a pipe's buffer could be overlooked."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, str(store_child.HERE), str(folder), str(seed), *more]
    with (folder / "told").open("w") as told:
        return subprocess.Popen(command, env=environment, stdout=told, stderr=subprocess.PIPE, text=True)


def _told(folder: Path) -> list[_Told]:
    """Return the complete lines that the newest child has told."""
    text = (folder / "told").read_text("ascii")
    lines = [line.split() for line in text.splitlines(keepends=True) if line.endswith("\n")]
    assert all(len(line) == store_child.PRINTED for line in lines)
    return [_Told(int(a), int(b), c, int(d), e, int(f), g) for a, b, c, d, e, f, g in lines]


def _run(folder: Path, seed: int, milliseconds: float) -> list[_Told]:
    """Let a child run for a while after its first line, kill it, and return what it told."""
    child = _start(folder, seed)
    while child.poll() is None and not _told(folder):
        time.sleep(0.002)
    time.sleep(milliseconds / 1000)
    child.kill()
    errors = child.communicate(timeout=30)[1]
    assert _told(folder), errors
    return _told(folder)


def _kill_starting(folder: Path, seed: int, milliseconds: float) -> list[_Told]:
    """Kill a child so many milliseconds after its birth, most likely while it opens its stores."""
    child = _start(folder, seed)
    time.sleep(milliseconds / 1000)
    child.kill()
    child.communicate(timeout=30)
    return _told(folder)


def _verdict(folder: Path) -> tuple[Verdict, Slot | None, ChainStore]:
    """Open the chain store and judge; the caller closes it."""
    chain = ChainStore.open(folder / "chain", node_id=NODE)
    slot = read_slot(folder / "head")
    return judge(slot, chain.facts()), slot, chain


def _check(folder: Path, told: _Told) -> None:
    """Hold everything in the folder against the last line that was told."""
    verdict, slot, chain = _verdict(folder)
    assert verdict.standing is Standing.SOUND, verdict.words
    assert slot is not None
    assert chain.counter() in (told.counter, told.counter + 1)
    assert slot.mark.size >= told.size
    if chain.counter() == told.counter:
        assert (chain.last().height, chain.last().entry_hash.hex()) == (told.last_height, told.last_hash)
    assert chain.term_and_hash(told.commit)[1].hex() == told.commit_hash
    low, last = 0, chain.last().height
    while low <= last:
        low += len(chain.entries(low, last + 1, max_bytes=1 << 20))
    derived, fold, words = prepare(folder / "derived", chain)
    assert words == "" or told.counter == 0, words
    assert fold is not None
    assert root_at(told.size, derived.hashes).hex() == told.root
    mark = slot.mark
    if mark.height <= derived.applied():
        assert judge_root(slot, derived.root_at(mark.size)).may_promise
    derived.close()
    chain.close()


def _kill_cycles(folder: Path, cycles: int) -> int:
    store_child.make(folder)
    rng = random.Random(11)
    newest: _Told | None = None
    for cycle in range(cycles):
        if cycle % 4 == 3:
            told = _kill_starting(folder, cycle, 150 + 300 * rng.random())
        else:
            told = _run(folder, cycle, rng.choice([0, 1, 3, 10, 40, 120]) * rng.random())
        assert not told or newest is None or told[0].counter >= newest.counter, "a restart found less"
        newest = told[-1] if told else newest
        assert newest is not None
        _check(folder, newest)
    assert newest is not None
    return newest.counter


def test_kill_9(tmp_path: Path) -> None:
    """Nothing that was told is lost, and no crash is ever taken for amnesia."""
    assert _kill_cycles(tmp_path, 8) >= 3


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_kill_9_many_times(tmp_path: Path) -> None:
    """The same, a hundred times over one folder."""
    assert _kill_cycles(tmp_path, 100) > 50


def test_a_disk_that_fills_up(tmp_path: Path) -> None:
    """A write that fails ends the process at once; with space again it starts, and has everything it told."""
    store_child.make(tmp_path)
    told = _run(tmp_path, 1, 50)
    child = _start(tmp_path, 2, "400000")
    errors = child.communicate(timeout=60)[1]
    assert child.returncode == store_child.EXIT_FATAL, errors
    assert "this process must end" in errors
    full = _told(tmp_path)
    assert full[0].counter >= told[-1].counter
    _check(tmp_path, full[-1])
    again = _run(tmp_path, 3, 50)
    assert again[-1].counter > full[-1].counter
    _check(tmp_path, again[-1])


# --- folders that were meddled with
# --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def worked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A node's folder after some work, closed by a kill; tests copy it."""
    folder = tmp_path_factory.mktemp("worked")
    store_child.make(folder)
    for seed in range(3):
        _run(folder, seed, 60)
    return folder


def _copy(worked: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "node"
    shutil.copytree(worked, folder)
    return folder


def _refused(folder: Path) -> str:
    """Return why a start of this folder promises nothing: the verdict's rule or the error's code."""
    try:
        verdict, _, chain = _verdict(folder)
    except StoreError as error:
        return error.code
    chain.close()
    assert not verdict.may_promise
    assert "will not vote and not sign" in verdict.words
    return verdict.rule


def _child_refuses(folder: Path) -> None:
    """A real start ends by itself and tells nothing."""
    child = _start(folder, 99)
    child.communicate(timeout=30)
    assert _told(folder) == []
    assert child.returncode not in (0, store_child.EXIT_FATAL)


def _chain_log(folder: Path) -> Path:
    return max((folder / "chain").glob("*.log"), key=lambda file: file.stat().st_size)


def test_the_untouched_copy_is_sound(worked: Path, tmp_path: Path) -> None:
    """What the other tests begin with is a good node."""
    verdict, _, chain = _verdict(_copy(worked, tmp_path))
    assert verdict.may_promise
    chain.close()


@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_cut_log_is_amnesia(worked: Path, tmp_path: Path, part: int) -> None:
    """The write-ahead file cut in half, emptied or deleted: the database opens, the head file remembers."""
    folder = _copy(worked, tmp_path)
    log = _chain_log(folder)
    data = log.read_bytes()
    assert len(data) > 2000
    if part == 0:
        log.write_bytes(data[: len(data) // 2])
    elif part == 1:
        log.write_bytes(b"")
    else:
        log.unlink()
    _child_refuses(folder)
    assert _refused(folder) == "lower_counter"


def test_an_older_chain_folder_is_amnesia(worked: Path, tmp_path: Path) -> None:
    """A backup put in the place of the chain store opens cleanly and is still caught."""
    folder = _copy(worked, tmp_path)
    old = tmp_path / "backup"
    shutil.copytree(folder / "chain", old)
    assert len(_run(folder, 50, 40)) > 1
    shutil.rmtree(folder / "chain")
    shutil.copytree(old, folder / "chain")
    _child_refuses(folder)
    assert _refused(folder) == "lower_counter"


def test_an_emptied_or_removed_folder_is_never_filled_anew(worked: Path, tmp_path: Path) -> None:
    """A start does not make a chain store, nor a head file."""
    folder = _copy(worked, tmp_path)
    shutil.rmtree(folder / "chain")
    assert _refused(folder) == "E_STORE_MISSING"
    (folder / "chain").mkdir()
    assert _refused(folder) == "E_STORE_MISSING"
    assert list((folder / "chain").iterdir()) == []
    _child_refuses(folder)


def test_a_fresh_init_beside_the_old_head_is_foreign_or_amnesia(worked: Path, tmp_path: Path) -> None:
    """Somebody runs `init` again under the same node id: the old head file tells."""
    folder = _copy(worked, tmp_path)
    shutil.rmtree(folder / "chain")
    (tmp_path / "second").mkdir()
    store_child.make(tmp_path / "second")
    shutil.copytree(tmp_path / "second" / "chain", folder / "chain")
    assert _refused(folder) == "lower_counter"
    _child_refuses(folder)


def test_a_lost_head_file_is_amnesia(worked: Path, tmp_path: Path) -> None:
    """Deleted or overwritten: no readable slot, and none is made."""
    folder = _copy(worked, tmp_path)
    (folder / "head").write_bytes(os.urandom(8192))
    assert _refused(folder) == "no_slot"
    (folder / "head").unlink()
    assert _refused(folder) == "no_slot"
    _child_refuses(folder)
    assert not (folder / "head").exists()


def test_an_older_head_file_is_survived(worked: Path, tmp_path: Path) -> None:
    """The chain store holds every promise itself, so an older head file forgets nothing; the words say it is
    odd.
    """
    folder = _copy(worked, tmp_path)
    old = (folder / "head").read_bytes()
    assert len(_run(folder, 51, 60)) > 3
    (folder / "head").write_bytes(old)
    verdict, _, chain = _verdict(folder)
    chain.close()
    assert (verdict.may_promise, verdict.rule) == (True, "ahead_more")
    assert "older copy" in verdict.words


def test_both_set_back_together_is_beyond_one_disk(worked: Path, tmp_path: Path) -> None:
    """A whole folder set back agrees with itself. Only others can know; peers are asked for that (a known
    limit).
    """
    folder = _copy(worked, tmp_path)
    verdict, _, chain = _verdict(folder)
    chain.close()
    assert verdict.may_promise


def test_a_derived_folder_in_any_state_is_made_good(worked: Path, tmp_path: Path) -> None:
    """Older, emptied or deleted, it is replayed or rebuilt, and ends at the same root."""
    folder = _copy(worked, tmp_path)
    old = tmp_path / "old"
    shutil.copytree(folder / "derived", old)
    told = _run(folder, 52, 60)[-1]
    for state in ("older", "emptied", "deleted"):
        shutil.rmtree(folder / "derived")
        if state == "older":
            shutil.copytree(old, folder / "derived")
        elif state == "emptied":
            (folder / "derived").mkdir()
        again = _run(folder, 53, 20)
        assert again[0].counter >= told.counter
        _check(folder, again[-1])


def test_the_wrong_folder_is_refused(worked: Path, tmp_path: Path) -> None:
    """The derived database in the chain's place is not opened as one."""
    folder = _copy(worked, tmp_path)
    shutil.rmtree(folder / "chain")
    shutil.copytree(folder / "derived", folder / "chain")
    assert _refused(folder) in ("E_STORE_FOREIGN", "E_STORE_DAMAGED")
    with pytest.raises(StoreError):
        ChainStore.open(folder / "chain", node_id=NODE)
    assert issubclass(StoreDamagedError, StoreError)
