"""Statements written in SQLAlchemy Core and compiled once, for the paths that every record goes.

Why: building and looking up a Core statement costs several times what SQLite needs to run it, and a lone record pays for a
dozen of them. Compiled once per dialect they cost next to nothing and stay portable: the text is the dialect's own.

Rules kept here: parameters are given by position, in the order of `names`; whether that is the statement's order is checked
when it is compiled. Values are bound, never spelled into the text. Refuses: lists of unknown length (write those in Core).
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Dialect
from sqlalchemy.sql.dml import Delete, Insert, Update
from sqlalchemy.sql.selectable import Select


class Prepared:
    """A statement with its parameters' names, in order. Shared by all threads: compiling twice does no harm."""

    __slots__ = ("_compiled", "_names", "_statement")

    def __init__(self, statement: "Select[Any] | Insert | Update | Delete", *names: str) -> None:
        """`names` are the bind parameters; for an insert, the columns."""
        self._statement = statement
        self._names = names
        self._compiled: dict[str, tuple[str, tuple[Any, ...]]] = {}

    def compiled(self, dialect: Dialect) -> tuple[str, tuple[Any, ...]]:
        """Return the statement in the dialect's spelling, and the constants that the dialect puts behind the parameters."""
        found = self._compiled.get(dialect.name)
        if found is None:
            made = self._statement.compile(dialect=dialect)
            order = tuple(made.positiontup or ())
            count = len(self._names)
            assert order[:count] == self._names, f"parameters stand in the order {order}"
            constants = tuple(made.params[name] for name in order[count:])
            assert None not in constants, f"parameters without a name here: {order[count:]}"
            found = self._compiled[dialect.name] = str(made), constants
        return found

    def rows(self, connection: Connection, *values: Any) -> Sequence[Any]:
        """Run the statement and return all its rows."""
        text, constants = self.compiled(connection.dialect)
        return connection.exec_driver_sql(text, values + constants).all()

    def run(self, connection: Connection, values: "tuple[Any, ...] | list[tuple[Any, ...]]") -> None:
        """Run the statement once (a tuple) or for each of many rows (a list), without a result."""
        text, constants = self.compiled(connection.dialect)
        assert not constants, "only queries have limits"
        connection.exec_driver_sql(text, values)
