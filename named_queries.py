"""Queries that are written once: Peewee writes the SQL of a named query at its first use, and later uses bind and run
it. To write it again for each use takes far longer than to run it."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

from peewee import (
    BooleanField,
    Field,
    ForeignKeyField,
    IntegerField,
    Model,
    ModelAlias,
    ModelSelect,
    Node,
    TextField,
)
from peewee import CharField as Text

from database import database

Row = TypeVar("Row")


class Parameter(Node):
    """Where a value goes that is known only when the query runs."""

    def __init__(self, name: str):
        self.name = name

    def __sql__(self, context):
        """Called where the value's own text would be: the mark of the database's driver, and this in the place of the
        value, with what makes the column's value of it."""
        context._values.append(Bound(self.name, context.state.converter))
        return context.literal(context.state.param or "?")


class Bound(NamedTuple):
    """A parameter in a written query, and what turns its value into the column's."""

    name: str
    converter: Callable[[Any], Any] | None


class Part(NamedTuple):
    """The columns of one table in a row: what makes its object, and the fields whose values have to be converted."""

    source: object
    model: type[Model]
    begin: int
    end: int
    names: tuple[str, ...]
    converted: tuple[tuple[str, Callable[[Any], Any]], ...]
    key: int | None
    """The column that is NULL when an outer join found no row."""


class Written:
    """A query's SQL, the values that it binds, and how a row becomes objects."""

    def __init__(self, query: ModelSelect):
        self.sql, self.values = query.sql()
        self.parts = _parts(query._returning)
        self.links = _links(query, [part.source for part in self.parts])

    def run(self, given: dict[str, Any]) -> list[Model]:
        values = [_bound(value, given) if type(value) is Bound else value for value in self.values]
        return [self._objects(row) for row in database.execute_sql(self.sql, values).fetchall()]

    def _objects(self, row: tuple) -> Model:
        made = [_object(part, row) for part in self.parts]
        for source, name, joined in self.links:
            if made[source] is not None:
                _join(made[source], name, made[joined])
        return made[0]


class NamedQuery(Generic[Row]):
    """A function that makes a query, asked with placeholders once for each kind of database. Calling it runs the query
    with these values and returns its rows; joined rows that were selected stand where the join says, None where an
    outer join found none.

    The function selects whole tables or plain columns, and may not look at its parameters or at the clock: it runs
    once. A parameter is never None, which SQL compares in another way.
    """

    def __init__(self, make: Callable[..., ModelSelect]):
        functools.update_wrapper(self, make)
        self.make, self.names = make, tuple(inspect.signature(make).parameters)
        self._written: dict[type, Written] = {}

    def __call__(self, *values: Any) -> list[Row]:
        return self.written().run(dict(zip(self.names, values, strict=True)))

    def first(self, *values: Any) -> Row | None:
        """The first row. The query itself says that it wants no more (`limit(1)`), unless there can be only one."""
        return next(iter(self(*values)), None)

    def written(self) -> Written:
        """The query as it is written for the database in force."""
        kind = type(database.obj)
        if kind not in self._written:
            self._written[kind] = Written(self.make(*map(Parameter, self.names)))
        return self._written[kind]


def named(make: Callable[..., ModelSelect]) -> NamedQuery:
    """Decorates a function that makes a query: see `NamedQuery`."""
    return NamedQuery(make)


def _bound(parameter: Bound, given: dict[str, Any]) -> Any:
    value = given[parameter.name]
    return parameter.converter(value) if parameter.converter else value


def _object(part: Part, row: tuple) -> Model | None:
    """The object as Peewee makes it of a row, without asking each field first."""
    if part.key is not None and row[part.key] is None:
        return None
    made = part.model.__new__(part.model)
    data = dict(zip(part.names, row[part.begin : part.end], strict=True))
    for name, convert in part.converted:
        data[name] = convert(data[name])
    made.__dict__.update(__data__=data, _dirty=set(), __rel__={})
    return made


def _join(source: Model, name: str, joined: Model | None) -> None:
    if isinstance(source._meta.fields.get(name), ForeignKeyField):
        if joined is not None:
            source.__rel__[name] = joined
    else:
        setattr(source, name, joined)


def _parts(columns: list[Field]) -> list[Part]:
    parts: list[Part] = []
    begin = 0
    for index, column in enumerate(columns):
        if index + 1 == len(columns) or columns[index + 1].model is not column.model:
            parts.append(_part(column.model, columns, begin, index + 1))
            begin = index + 1
    return parts


def _part(source: object, columns: list[Field], begin: int, end: int) -> Part:
    model = source.model if isinstance(source, ModelAlias) else source
    fields = [model._meta.fields[column.name] for column in columns[begin:end]]
    converted = tuple((field.name, field.python_value) for field in fields if not _is_as_stored(field))
    key = next((begin + place for place, field in enumerate(fields) if field is model._meta.primary_key), None)
    return Part(source, model, begin, end, tuple(field.name for field in fields), converted, key)


def _is_as_stored(field: Field) -> bool:
    """Whether the driver's value is the field's own: numbers and text are."""
    field = field.rel_field if isinstance(field, ForeignKeyField) else field
    plain = isinstance(field, IntegerField | Text | TextField) and not isinstance(field, BooleanField)
    return plain and type(field).python_value is Field.python_value


def _links(query: ModelSelect, sources: list[object]) -> list[tuple[int, str, int]]:
    """Which part gets which other as what: positions in the list of parts."""
    return [
        (sources.index(source), name, sources.index(joined))
        for source, joins in query._joins.items()
        for joined, name, _constructor, _kind in joins
        if source in sources and joined in sources
    ]
