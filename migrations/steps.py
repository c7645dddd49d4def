"""What the numbered steps are made of: each asks what is there already, so that a step that was interrupted can be
taken again.

SQLite takes a step back as a whole. MySQL does not: each of its statements about tables, columns, indexes and views is
a transaction of its own, and stays when the next one never comes.
"""

import peewee as pw
from peewee_migrate import Migrator


class Steps(Migrator):
    """Everything here is in plain SQL, because Peewee would build SQLite's tables again, under the eyes of a running
    mail server."""

    def __init__(self, database: pw.Database):
        super().__init__(database)
        self._database = database

    @property
    def is_mysql(self) -> bool:
        return isinstance(self._database, pw.MySQLDatabase)

    def create_model(self, model: type[pw.Model]) -> type[pw.Model]:
        """Create a table and each of its indexes, unless it is there."""
        self.orm.add(model)
        model._meta.database = self._database
        self.run(self._create_table, model)
        return model

    def ensure_column(self, table: str, definition: str) -> None:
        """Add a column, such as `phone VARCHAR(16) NOT NULL DEFAULT ''`, unless it is there."""
        self.run(self._add_column, table, definition)

    def ensure_reference(self, table: str, column: str, to: str, on_delete: str) -> None:
        """Add a column that may point to a row of another table, unless it is there."""
        reference = f"REFERENCES {to} (id) ON DELETE {on_delete}"
        if self.is_mysql:
            self.ensure_column(table, f"{column} INTEGER NULL")
            self.ensure_foreign_key(table, column, reference)
        else:
            self.ensure_column(table, f"{column} INTEGER {reference}")

    def ensure_foreign_key(self, table: str, column: str, reference: str) -> None:
        """On MySQL, let a column point to another table, unless it does. SQLite can only do so with the column."""
        self.run(self._add_foreign_key, table, column, reference)

    def ensure_index(self, table: str, columns: str, unique: bool = False) -> None:
        """Create the index that is named after its table and its columns, unless it is there."""
        self.run(self._create_index, table, columns, "UNIQUE " if unique else "")

    def ensure_view(self, name: str, statement: str) -> None:
        """Put this view in the place of the one of its name: on both databases nobody finds it missing."""
        if self.is_mysql:
            self.sql(statement.replace("CREATE VIEW", "CREATE OR REPLACE VIEW", 1))
        else:
            self.sql(f"DROP VIEW IF EXISTS {name}")
            self.sql(statement)

    def lose_column(self, table: str, column: str) -> None:
        """Drop a column, unless it is gone."""
        self.run(self._drop_column, table, column)

    def lose_index(self, table: str, columns: str) -> None:
        """Drop the index that is named after its table and its columns, unless it is gone."""
        self.run(self._drop_index, table, columns)

    def _create_table(self, model: type[pw.Model]) -> None:
        table = model._meta.table_name
        model._schema.create_table(safe=True)
        for index in model._meta.fields_to_index():
            if index._name not in self._indexes(table):
                self._database.execute(index.safe(False))

    def _add_column(self, table: str, definition: str) -> None:
        if definition.split()[0] not in self._columns(table):
            self._database.execute_sql(f"ALTER TABLE {table} ADD COLUMN {definition}")

    def _add_foreign_key(self, table: str, column: str, reference: str) -> None:
        if column not in {key.column for key in self._database.get_foreign_keys(table)}:
            self._database.execute_sql(f"ALTER TABLE {table} ADD FOREIGN KEY ({column}) {reference}")

    def _create_index(self, table: str, columns: str, unique: str) -> None:
        name = _index_name(table, columns)
        if name not in self._indexes(table):
            self._database.execute_sql(f"CREATE {unique}INDEX {name} ON {table} ({columns})")

    def _drop_column(self, table: str, column: str) -> None:
        if column in self._columns(table):
            self._database.execute_sql(f"ALTER TABLE {table} DROP COLUMN {column}")

    def _drop_index(self, table: str, columns: str) -> None:
        name = _index_name(table, columns)
        if name in self._indexes(table):
            self._database.execute_sql(f"DROP INDEX {name}{f' ON {table}' if self.is_mysql else ''}")

    def _columns(self, table: str) -> set[str]:
        return {column.name for column in self._database.get_columns(table)}

    def _indexes(self, table: str) -> set[str]:
        return {index.name for index in self._database.get_indexes(table)}


def _index_name(table: str, columns: str) -> str:
    return f"{table}_{columns.replace(', ', '_')}"
