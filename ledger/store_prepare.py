"""Starting with a derived store, whatever state it is in: use it, or throw it away and begin anew.

Why apart: this is the one place where stored data is deleted, and it must be plain that only derived data
ever is.

Rules kept here:
- A store that is missing, condemned, damaged, or ahead of the chain store is made anew, and the reason is
  told.
- A store of another node, chain or format is *not* deleted: somebody has confused two folders, and a person
  decides.
- Notes are carried over as far as they can be read; they hold signatures that nobody can compute.

Refuses: deleting anything else, ever.
"""

from pathlib import Path
from typing import Final

from ledger import keyspace
from ledger.chain import Chain
from ledger.errors import DerivedDamagedError, StoreError
from ledger.store_chain import ChainStore
from ledger.store_derived import NOTES_MAX, OPTIONS, DerivedStore
from ledger.store_kv import destroy_database, open_database

CONDEMNED: Final = "CONDEMNED"
"""A file of this name in the folder: damage was met while running, rebuild at the next start."""


def prepare(path: Path, chain: ChainStore) -> tuple[DerivedStore, Chain | None, str]:
    """Open the derived store beside `chain` and restore the chain from it, or make a new one: what a start
    calls.

    Returns the store, the chain at its applied height (None: empty, apply from genesis), and plain words why
    it was made anew ("" if it was not). A missing, condemned, damaged or too new store is made anew and its
    notes are carried over as far as they can be read. Raises StoreError E_STORE_FOREIGN, E_STORE_LOCKED,
    E_STORE_VERSION, E_STORE_OPEN, which all need a person, StoreFatalError, and what the chain store raises.
    """
    notes: dict[str, bytes] = {}
    store = None
    try:
        if (path / CONDEMNED).exists():
            raise DerivedDamagedError("E_DERIVED_DAMAGED", f"{path} was found damaged by an earlier run")
        store = DerivedStore.open(path, chain)
        return store, store.restore(), ""
    except DerivedDamagedError as error:
        words = f"the derived store is rebuilt: {error.message}"
        if store is not None:
            store.close()
        notes = _salvage_notes(path)
    except StoreError as error:
        if error.code != "E_STORE_MISSING":
            raise
        words = f"the derived store is built: there was none in {path}"
    discard(path)
    fresh = DerivedStore.create(path, chain)
    for name, note in notes.items():
        fresh.put_note(name, note)
    return fresh, None, words


def discard(path: Path) -> None:
    """Delete a derived store that is not open; everything in it is computed again. Raises StoreError
    E_STORE_LOCKED.
    """
    if path.is_dir():
        destroy_database(path)
        (path / CONDEMNED).unlink(missing_ok=True)


def condemn(path: Path) -> None:
    """Have the next start rebuild the store in `path`: called when damage shows while the node is running.

    Raises StoreError E_STORE_OPEN if the disk refuses; then the damage will show again.
    """
    try:
        (path / CONDEMNED).touch()
    except OSError as error:
        raise StoreError("E_STORE_OPEN", f"{path} cannot be marked: {error.strerror}") from error


def _salvage_notes(path: Path) -> dict[str, bytes]:
    """Return the notes of a damaged store, as many as can be read before the first bad one."""
    try:
        kv = open_database(path, OPTIONS)
    except StoreError:
        return {}
    try:
        found = kv.scan(*keyspace.notes_range(), limit=NOTES_MAX)
    except StoreError:
        return {}
    finally:
        kv.close()
    return {key[1:].decode("ascii"): note for key, note in found if key[1:].isascii()}
