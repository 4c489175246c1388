"""The steps and rules of a definition, read against the names that exist at each of them."""

from collections.abc import Callable
from dataclasses import dataclass

from spark_scoring.errors import bad_value, contradiction, different_types, unknown_key
from spark_scoring.spec.aggregates import aggregate_type, parse_aggregate
from spark_scoring.spec.nouns import STRATEGIES, AsOf, Columns, Lookup, Rule, Step, Table, Window
from spark_scoring.spec.read import Reader
from spark_scoring.spec.scope import Name, Scope, check_own_name

Pairs = tuple[tuple[str, str], ...]

STEPS = ("lookup", "as_of", "window", "columns")
ON = "a list of columns, or a mapping {row_column: table_column}"
TAKE = "a list of table columns, or a mapping {new_name: table_column}"


@dataclass(frozen=True, kw_only=True)
class Read:
    """A step and the scope after it."""

    step: Step
    scope: Scope


@dataclass(frozen=True, kw_only=True)
class Place:
    """A step's mapping, the names before it, and the table it reads."""

    reader: Reader
    scope: Scope
    table: Table

    @property
    def table_scope(self) -> Scope:
        return scope_of(self.table)


def scope_of(table: Table) -> Scope:
    """The columns of a table's contract."""
    origin = f"a column of table {table.name}"
    names = tuple(Name(name=column.name, type=column.type, origin=origin) for column in table.columns)
    return Scope(owner=f"table {table.name}", names=names)


def read_pairs(reader: Reader, *, expected: str) -> tuple[tuple[str, str, Reader], ...]:
    """(left, right, place) of a list of names or a mapping of names; not empty."""
    if isinstance(reader.value, list | tuple):
        found = tuple((item.text("a column name"), item.text(), item) for item in reader.list())
    else:
        found = tuple((name, item.text("a column name"), item) for name, item in reader.items(expected))
    if not found:
        raise reader.refuse(f"{expected}, with at least one entry")
    return found


def read_on(place: Place) -> Pairs:
    """The key pairs in declared spelling, with types equal where both are known."""
    reader = place.reader.need("on", ON)
    pairs: list[tuple[str, str]] = []
    for left, right, item in read_pairs(reader, expected=ON):
        row, column = (
            place.scope.find(left, where=item.where),
            place.table_scope.find(right, where=item.where),
        )
        if column.type.startswith("map<"):
            raise bad_value(item.where, given=column.name, allowed="a key that is no map: maps cannot be compared")
        if "?" not in row.type and row.type != column.type:
            sides = (
                f"rows' {row.name} is {row.type}",
                f"{place.table.name}'s {column.name} is {column.type}",
            )
            raise different_types(item.where, left=sides[0], right=sides[1])
        if (row.name, column.name) in pairs:
            raise contradiction(
                item.where, given=f"the pair {left}, {right}", why="it stands here twice", do="Keep one"
            )
        pairs.append((row.name, column.name))
    return tuple(pairs)


def read_take(place: Place) -> Pairs:
    """(new name, table column in declared spelling), new names checked."""
    pairs: list[tuple[str, str]] = []
    scope = place.scope
    for new, given, item in read_pairs(place.reader.need("take", TAKE), expected=TAKE):
        column = place.table_scope.find(given, where=item.where)
        scope = scope.add(
            check_own_name(new, where=item.where), type=column.type, origin=_again(place), where=item.where
        )
        pairs.append((new, column.name))
    return tuple(pairs)


def read_strategy(place: Place) -> str | None:
    """What the step says of how its table comes to the rows."""
    return place.reader.maybe("strategy", lambda found: found.one_of(*STRATEGIES), None)


def _again(place: Place) -> str:
    return f"added by {place.reader.path}"


def _timed(place: Place, *, kind: str) -> None:
    if place.table.time is None:
        why = f"table {place.table.name} declares no 'time'"
        do = f"Add 'time' to tables.{place.table.name}, or use 'lookup'"
        raise contradiction(place.reader.where, given=f"'{kind}: {place.table.name}'", why=why, do=do)


def _added(place: Place, pairs: Pairs) -> Scope:
    scope = place.scope
    for new, column in pairs:
        found = place.table_scope.find(column, where=place.reader.where)
        scope = scope.add(new, type=found.type, origin=_again(place), where=place.reader.where)
    return scope


def read_lookup(place: Place) -> Read:
    place.reader.keys("lookup", "on", "take", "required", "strategy")
    on, take = read_on(place), read_take(place)
    required = place.reader.maybe("required", Reader.bool, False)
    step = Lookup(table=place.table.name, on=on, take=take, required=required, strategy=read_strategy(place))
    return Read(step=step, scope=_added(place, take))


def read_as_of(place: Place) -> Read:
    place.reader.keys("as_of", "on", "take", "max_age", "strict", "strategy")
    _timed(place, kind="as_of")
    on, take = read_on(place), read_take(place)
    for _, column in take:
        if "map<" in place.table_scope.find(column, where=place.reader.where).type:
            # of rows of one time the greatest is taken
            raise bad_value(place.reader.where, given=column, allowed="a column that has an order: maps have none")
    max_age = place.reader.maybe("max_age", Reader.duration, None)
    strict = place.reader.maybe("strict", Reader.bool, False)
    step = AsOf(table=place.table.name, on=on, take=take, max_age=max_age, strict=strict, strategy=read_strategy(place))
    return Read(step=step, scope=_added(place, take))


def read_window(place: Place) -> Read:
    place.reader.keys("window", "on", "last", "take", "strategy")
    _timed(place, kind="window")
    on = read_on(place)
    last = place.reader.need("last", "how far back the window reaches, as in 6h").duration()
    take, scope = [], place.scope
    for new, item in place.reader.need("take", "a mapping {new_name: aggregate}").items(
        "a mapping {new_name: aggregate}"
    ):
        check_own_name(new, where=item.where)
        aggregate = parse_aggregate(
            item.text("an aggregate, as in count(*)"), where=item.where, table=place.table_scope
        )
        scope = scope.add(new, type=aggregate_type(aggregate), origin=_again(place), where=item.where)
        take.append((new, aggregate))
    if not take:
        raise place.reader.need("take", "").refuse("a mapping {new_name: aggregate} with at least one entry")
    step = Window(table=place.table.name, on=on, last=last, take=tuple(take), strategy=read_strategy(place))
    return Read(step=step, scope=scope)


def read_columns(reader: Reader, *, scope: Scope) -> Read:
    reader.keys("columns")
    take = []
    entries = reader.need("columns", "a mapping {new_name: expression}").items("a mapping {new_name: expression}")
    for new, item in entries:
        check_own_name(new, where=item.where)
        expression = scope.expression(item.text("an expression"), where=item.where)
        scope = scope.add(new, type=expression.type, origin=f"added by {reader.path}", where=item.where)
        take.append((new, expression))
    if not take:
        raise reader.need("columns", "").refuse("a mapping {new_name: expression} with at least one entry")
    return Read(step=Columns(take=tuple(take)), scope=scope)


TABLE_STEPS: dict[str, Callable[[Place], Read]] = {
    "lookup": read_lookup,
    "as_of": read_as_of,
    "window": read_window,
}


def read_step(reader: Reader, *, scope: Scope, tables: tuple[Table, ...]) -> Read:
    """One step, known by its one key out of lookup, as_of, window and columns."""
    items = dict(reader.items(f"a mapping with one of {', '.join(STEPS)}"))
    kinds = [name for name in items if name in STEPS]
    if not kinds:
        given = next(iter(items), "nothing")
        raise unknown_key(reader.where, given=given, allowed=STEPS)
    if len(kinds) > 1:
        why, do = "a step does one thing", "Write one step for each"
        raise contradiction(reader.where, given=" and ".join(f"'{kind}'" for kind in kinds), why=why, do=do)
    if kinds[0] == "columns":
        return read_columns(reader, scope=scope)
    named = items[kinds[0]]
    known = Scope(owner="this file", names=tuple(Name(name=table.name, type="", origin="") for table in tables))
    name = known.find(named.text("the name of a table"), where=named.where, kind="table").name
    table = next(table for table in tables if table.name == name)
    return TABLE_STEPS[kinds[0]](Place(reader=reader, scope=scope, table=table))


def read_rule(name: str, reader: Reader, *, scope: Scope) -> Rule:
    """A rule over the finished wide row."""
    return Rule(name=name, condition=scope.condition(reader.text("a condition"), where=reader.where))
