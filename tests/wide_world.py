"""One definition with every kind of step, and a random world for it: what the laws are tested on."""

from typing import Any

from oracle import Row, World
from wide_cases import FLOATS, SECOND, Dice, world_of

MAPPING: dict[str, Any] = {
    "name": "everything",
    "rows": {
        "key": ["id"],
        "time": "at",
        "columns": {
            "id": "bigint not null",
            "k": "string not null",
            "tail": "string",
            "at": "timestamp not null",
        },
    },
    "tables": {
        "planes": {"columns": {"tail": "string", "home": "string", "seats": "int"}},
        "weather": {
            "time": "seen",
            "known_at": "known",
            "columns": {
                "k": "string",
                "seen": "timestamp",
                "known": "timestamp",
                "x": "double",
                "y": "double",
            },
        },
        "events": {
            "time": "seen",
            "columns": {"k": "string", "seen": "timestamp", "x": "double", "n": "bigint"},
        },
    },
    "steps": [
        {"lookup": "planes", "on": ["tail"], "take": ["home", "seats"]},
        {"as_of": "weather", "on": ["k"], "max_age": "3s", "take": {"x": "x", "y": "y"}},
        {"as_of": "weather", "on": {"home": "k"}, "take": {"home_y": "y"}, "strict": True},
        {
            "window": "events",
            "on": ["k"],
            "last": "4s",
            "take": {
                "n": "count(*)",
                "s": "sum(x)",
                "sd": "stddev(x)",
                "f": "first(x)",
                "big": "sum(n) where n > 1",
            },
        },
        {"window": "events", "on": {"home": "k"}, "last": "9s", "take": {"home_m": "mean(x)"}},
        {"columns": {"twice": "x * 2", "four": "twice * 2", "busy": "n > 2"}},
        {"columns": {"unused": "seats + 1"}},
    ],
    "rules": {"seated": "seats is not null", "warm": "y > -1 or y is null"},
}


def doubled(name: str) -> Any:
    return lambda row: None if row[name] is None else row[name] * 2


PYTHON = {
    **{name: (lambda row, name=name: row[name]) for name in ("x", "n", "y")},
    "n > 1": lambda row: None if row["n"] is None else row["n"] > 1,
    "x * 2": doubled("x"),
    "twice * 2": doubled("twice"),
    "n > 2": lambda row: row["n"] > 2,
    "seats + 1": lambda row: None if row["seats"] is None else row["seats"] + 1,
    "seats is not null": lambda row: row["seats"] is not None,
    "y > -1 or y is null": lambda row: row["y"] is None or row["y"] != row["y"] or row["y"] > -1,
}

NAMES = ("a", "ü", "日本", "d", "e", "f", "g", "h")


def dice_world(dice: Dice) -> World:
    planes = [{"tail": name, "home": dice.pick((*NAMES, None)), "seats": dice.pick((1, 2, None))} for name in NAMES]
    weather, events = [], []
    for _ in range(400):
        time = dice.maybe_instant()
        values = {"x": dice.pick(FLOATS), "y": dice.pick((0.0, -0.0, 1.0, None))}
        weather.append({"k": dice.pick((*NAMES, None)), "seen": time, "known": dice.later(time), **values})
        value = dice.pick(FLOATS) if dice.random.random() < 0.3 else dice.random.uniform(-1, 1)
        number = dice.pick((None, 1, 2, 3, 2**63 - 1))
        events.append({"k": dice.pick((*NAMES, None)), "seen": dice.maybe_instant(), "x": value, "n": number})
    tables = {
        "planes": [*planes, planes[0]],
        "weather": dice.repeated(weather),
        "events": dice.repeated(events),
    }
    return world_of(MAPPING, tables=tables, python=PYTHON)


def dice_rows(dice: Dice, *, count: int = 300) -> list[Row]:
    """Rows with nulls where there should be none, some of them twice."""
    rows = []
    for i in range(count):
        key, tail = dice.pick((*NAMES, *NAMES, None)), dice.pick((*NAMES, None, "no plane"))
        rows.append({"id": i, "k": key, "tail": tail, "at": dice.pick((None, *[dice.instant() for _ in range(19)]))})
    return dice.repeated(rows)


def later_rows(world: World, *, than: int) -> World:
    """The world with more table rows: later than an instant, or known later."""
    weather = [
        {"k": name, "seen": seen, "known": than + 1, "x": 7.0, "y": 7.0}
        for name in NAMES
        for seen in (than + 1, than - SECOND, than - 3 * SECOND)
    ]
    events = [{"k": name, "seen": than, "x": 7.0, "n": 7} for name in NAMES]
    tables = {
        **world.tables,
        "weather": [*weather, *world.tables["weather"]],
        "events": [*world.tables["events"], *events],
    }
    return World(wide=world.wide, tables=tables, python=world.python)


def sliced(world: World, *, to: tuple[int, int], back_us: int) -> World:
    """The world with the rows of `events` that some row between two instants can reach."""
    events = [
        row for row in world.tables["events"] if row["seen"] is not None and to[0] - back_us <= row["seen"] <= to[1]
    ]
    return World(wide=world.wide, tables={**world.tables, "events": events}, python=world.python)
