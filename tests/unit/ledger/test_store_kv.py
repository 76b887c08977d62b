"""LevelDB as we run it: deliberate creation, plain refusals, one failed write ends the handle, damage shows.

The in-memory store of the test tools keeps the same promises; both are held against the same list.
"""

import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import plyvel
import pytest
from fake_kv import MemoryKv

from ledger import store_kv
from ledger.errors import StoreDamagedError, StoreError, StoreFatalError
from ledger.store_kv import KeyValue, Options, create_database, destroy_database, open_database

OPTIONS = Options(write_buffer_bytes=64 * 1024)


@pytest.fixture(params=["leveldb", "memory"])
def kv(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[KeyValue]:
    """An empty store of each kind."""
    store: KeyValue = MemoryKv() if request.param == "memory" else create_database(tmp_path / "db", OPTIONS)
    yield store
    store.close()


def test_batches_apply_in_order(kv: KeyValue) -> None:
    """Later operations of a batch win, deletes included."""
    kv.write([(b"a", b"1"), (b"b", b"1"), (b"a", None), (b"b", b"2"), (b"c", None), (b"c", b"3")], sync=True)
    assert [kv.get(key) for key in (b"a", b"b", b"c", b"d")] == [None, b"2", b"3", None]


def test_a_scan_is_half_open_bounded_and_reversible(kv: KeyValue) -> None:
    """[start, stop), at most `limit` pairs, from either end."""
    kv.write([(bytes((n,)), b"v%d" % n) for n in range(10)], sync=False)
    assert [k[0] for k, _ in kv.scan(b"\x02", b"\x06", limit=9)] == [2, 3, 4, 5]
    assert [k[0] for k, _ in kv.scan(b"\x02", b"\x06", limit=2)] == [2, 3]
    assert [k[0] for k, _ in kv.scan(b"\x02", b"\x06", limit=2, reverse=True)] == [5, 4]
    assert kv.scan(b"\x20", b"\x30", limit=1) == []
    with pytest.raises(AssertionError):
        kv.scan(b"", b"\xff", limit=store_kv.SCAN_MAX + 1)


def test_a_snapshot_does_not_move(kv: KeyValue) -> None:
    """What is read through a snapshot is what was there when it was taken."""
    kv.write([(b"a", b"1"), (b"b", b"1")], sync=True)
    with kv.snapshot() as reader:
        kv.write([(b"a", b"2"), (b"b", None), (b"c", b"2")], sync=True)
        assert (reader.get(b"a"), reader.get(b"b"), reader.get(b"c")) == (b"1", b"1", None)
        assert reader.scan(b"a", b"z", limit=9) == [(b"a", b"1"), (b"b", b"1")]
    assert kv.scan(b"a", b"z", limit=9) == [(b"a", b"2"), (b"c", b"2")]


# --- creating and opening ----------------------------------------------------------------------------------


def test_opening_never_creates(tmp_path: Path) -> None:
    """A missing or empty folder is refused and left exactly as it was."""
    with pytest.raises(StoreError, match="E_STORE_MISSING"):
        open_database(tmp_path / "none", OPTIONS)
    assert list(tmp_path.iterdir()) == []
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "LOCK").touch()
    with pytest.raises(StoreError, match="E_STORE_MISSING"):
        open_database(empty, OPTIONS)
    assert [entry.name for entry in empty.iterdir()] == ["LOCK"]


def test_creating_never_opens(tmp_path: Path) -> None:
    """An existing store, and a folder with anything in it, are refused."""
    create_database(tmp_path / "db", OPTIONS).close()
    with pytest.raises(StoreError, match="E_STORE_EXISTS"):
        create_database(tmp_path / "db", OPTIONS)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(StoreError, match="E_STORE_EXISTS"):
        create_database(tmp_path, OPTIONS)
    with pytest.raises(StoreError, match="E_STORE_OPEN"):
        create_database(tmp_path / "a" / "b" / "c", OPTIONS)


def test_a_second_opener_is_told_why(tmp_path: Path) -> None:
    """The same process and another one are refused, and the first refusal does not open the door to the
    other.
    """
    first = create_database(tmp_path / "db", OPTIONS)
    with pytest.raises(StoreError, match=r"E_STORE_LOCKED: this process already has"):
        open_database(tmp_path / "db", OPTIONS)
    with pytest.raises(StoreError, match="E_STORE_LOCKED"):
        destroy_database(tmp_path / ".." / tmp_path.name / "db")
    code = (
        "import sys; from pathlib import Path; from ledger.store_kv import Options, open_database\n"
        "try: open_database(Path(sys.argv[1]), Options(65536))\n"
        "except Exception as error: print(error)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "db")]
    words = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout
    assert words.startswith("E_STORE_LOCKED: another process has the store")
    with pytest.raises(StoreError, match="E_STORE_LOCKED"):
        destroy_database(tmp_path / "db")
    first.close()
    open_database(tmp_path / "db", OPTIONS).close()


def test_a_lost_current_file_is_damage(tmp_path: Path) -> None:
    """CURRENT deleted, emptied or pointing nowhere: damaged, not missing, and never remade."""
    path = tmp_path / "db"
    create_database(path, OPTIONS).close()
    good = (path / "CURRENT").read_bytes()
    for content in (None, b"", b"MANIFEST-999999\n", b"garbage"):
        (path / "CURRENT").unlink()
        if content is not None:
            (path / "CURRENT").write_bytes(content)
        with pytest.raises(StoreDamagedError):
            open_database(path, OPTIONS)
        (path / "CURRENT").write_bytes(good)
    open_database(path, OPTIONS).close()


def test_destroying_leaves_other_peoples_files(tmp_path: Path) -> None:
    """Only the database's own files go."""
    path = tmp_path / "db"
    create_database(path, OPTIONS).close()
    (path / "readme.txt").write_text("mine")
    destroy_database(path)
    assert [entry.name for entry in path.iterdir()] == ["readme.txt"]


def test_closing_twice_is_harmless(tmp_path: Path) -> None:
    """The owner may close in any order of its cleanup."""
    store = create_database(tmp_path / "db", OPTIONS)
    store.close()
    store.close()


# --- failed writes -----------------------------------------------------------------------------------------


class _Failing:
    """A database whose batches fail as told; reads work."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def write_batch(self, *, sync: bool) -> "_Failing":
        return self

    def put(self, key: bytes, value: bytes) -> None:
        return None

    def write(self) -> None:
        raise self.error

    def get(self, key: bytes, *, verify_checksums: bool) -> bytes | None:
        assert verify_checksums
        return None

    def close(self) -> None:
        return None


@pytest.mark.parametrize(
    "error", [plyvel.IOError(b"IO error: no space"), OSError(5, "EIO"), plyvel.Error("?")]
)
def test_the_first_failed_write_ends_the_handle(error: BaseException) -> None:
    """After it everything is refused, reads too, although the database itself would go on."""
    store = store_kv.LevelDb(_Failing(error), Path("db"), OPTIONS)
    assert store.get(b"k") is None
    with pytest.raises(StoreFatalError, match="may or may not be there, and this process must end"):
        store.write([(b"k", b"v")], sync=True)
    calls: list[Callable[[], object]] = [
        lambda: store.get(b"k"),
        lambda: store.scan(b"a", b"z", limit=1),
        lambda: store.write([], sync=False),
        lambda: store.snapshot().__enter__(),
    ]
    for call in calls:
        with pytest.raises(StoreFatalError, match="after a failed write"):
            call()
    store.close()


def test_damage_found_by_a_write_is_not_fatal_for_a_rebuildable_store() -> None:
    """Compaction that meets a bad table stops all writes; what can be rebuilt is rebuilt, the chain store
    ends.
    """
    damage = plyvel.CorruptionError(b"Corruption: block checksum mismatch")
    derived = store_kv.LevelDb(_Failing(damage), Path("db"), Options(65_536, rebuildable=True))
    with pytest.raises(StoreDamagedError):
        derived.write([(b"k", b"v")], sync=False)
    chain = store_kv.LevelDb(_Failing(damage), Path("db"), OPTIONS)
    with pytest.raises(StoreFatalError):
        chain.write([(b"k", b"v")], sync=True)


def test_our_own_bug_is_not_dressed_up() -> None:
    """A wrong type stays a TypeError, and still ends the handle."""
    store = store_kv.LevelDb(_Failing(TypeError("no")), Path("db"), OPTIONS)
    with pytest.raises(TypeError):
        store.write([(b"k", b"v")], sync=True)
    with pytest.raises(StoreFatalError):
        store.get(b"k")


_FILL = """
import resource, signal, sys
from pathlib import Path
from ledger.errors import StoreFatalError
from ledger.store_kv import Options, open_database
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = open_database(Path(sys.argv[1]), Options(1 << 20))
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
for number in range(1000):
    try:
        store.write([(b"%06d" % number, bytes(4096))], sync=True)
    except StoreFatalError as error:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        try:
            store.write([(b"after", b"x")], sync=True)
        except StoreFatalError:
            print(number, error.code)
            sys.exit(7)
        sys.exit(8)
sys.exit(9)
"""


def test_a_full_disk_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """A real failed write (file size limit) is fatal at once, also when space returns; a restart finds every
    write before it, and nothing after it.
    """
    path = tmp_path / "db"
    create_database(path, Options(1 << 20)).close()
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    command = [sys.executable, "-c", _FILL, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 7, done.stderr
    failed, code = done.stdout.split()
    assert code == "E_STORE_WRITE"
    assert int(failed) > 10
    store = open_database(path, OPTIONS)
    found = [int(key) for key, _ in store.scan(b"0", b"9", limit=2000)]
    assert found in (list(range(int(failed))), list(range(int(failed) + 1)))
    assert store.get(b"after") is None
    store.close()
