"""The tables in Python are the tables in the database."""

from pathlib import Path

from gateway_fakes import new_database
from sqlalchemy import inspect

from gateway.adapters import tables


def test_core_tables_are_what_the_migrations_create(tmp_path: Path) -> None:
    """Same tables, same columns in the same order, same types, same nullability and primary keys."""
    database = new_database(tmp_path)
    try:
        inspector = inspect(database.writer)
        found = set(inspector.get_table_names())
        assert found == {*tables.metadata.tables, "schema_version"}
        for name, table in tables.metadata.tables.items():
            columns = inspector.get_columns(name)
            ours = [(c.name, str(c.type), c.nullable) for c in table.columns]
            assert [(c["name"], str(c["type"]), c["nullable"]) for c in columns] == ours
            assert inspector.get_pk_constraint(name)["constrained_columns"] == [
                c.name for c in table.primary_key
            ]
    finally:
        database.close()
