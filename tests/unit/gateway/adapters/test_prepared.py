"""Statements compiled once."""

from pathlib import Path

import pytest
from gateway_fakes import new_database
from sqlalchemy import bindparam, select

from gateway.adapters.prepared import Prepared
from gateway.adapters.tables import facts

ADD = Prepared(facts.insert(), "name", "value")
FIND = Prepared(
    select(facts.c.value)
    .where(facts.c.name > bindparam("after"))
    .order_by(facts.c.name)
    .limit(bindparam("most")),
    "after",
    "most",
)


def test_values_go_by_position(tmp_path: Path) -> None:
    """One row, many rows, and a query whose dialect adds constants of its own."""
    database = new_database(tmp_path)
    with database.writer.connect() as connection, connection.begin():
        ADD.run(connection, ("a", b"1"))
        ADD.run(connection, [("b", b"2"), ("c", b"3")])
        assert [row.value for row in FIND.rows(connection, "a", 1)] == [b"2"]
        assert [row.value for row in FIND.rows(connection, "a", 9)] == [b"2", b"3"]
        assert [row.value for row in FIND.rows(connection, "z' OR 1=1 --", 9)] == []
    database.close()


def test_a_wrong_order_is_noticed(tmp_path: Path) -> None:
    """Before anything runs."""
    database = new_database(tmp_path)
    wrong = Prepared(facts.insert(), "value", "name")
    nameless = Prepared(select(facts.c.value).where(facts.c.name == bindparam("name")))
    with database.writer.connect() as connection, connection.begin():
        for statement in (wrong, nameless):
            with pytest.raises(AssertionError):
                statement.compiled(connection.dialect)
    database.close()
