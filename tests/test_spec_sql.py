# ruff: noqa: E501  a table of cases reads better with one case a line
"""Laws of the row-local SQL: nothing raises, the meaning is Spark's, the types are Spark's."""

import itertools
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession
from sql_columns import TYPES

from spark_scoring.errors import ConfigError
from spark_scoring.spec.sql import parse_expression
from spark_scoring.spec.sql_functions import FUNCTIONS, Function

INTS = {"y": 8, "h": 16, "i": 32, "l": 64}
DOUBLES = ["NaN", "Infinity", "-Infinity", "-0.0", "0", "1e308", "-1e308", "4.9e-324", "1.5", "9.3e18"]
TEXTS = [
    "''",
    "' '",
    "'abc'",
    "'a,b'",
    "'12'",
    "'\\0'",
    "'äß😀'",
    "'%'",
    "'2013-13-41'",
    "'9999999999999999999'",
]
EXTREME = {
    **{name: [f"{v}" for v in (-(2 ** (n - 1)), 2 ** (n - 1) - 1, 0, -1, 7)] for name, n in INTS.items()},
    "f": [*DOUBLES[:5], "3.4e38"],
    "d": DOUBLES,
    "n": ["99999999.99", "-99999999.99", "0", "-1.5"],
    "m": ["9" * 38, "-" + "9" * 38, "0", "3"],
    "k": ["0." + "9" * 38, "-0." + "9" * 38, "0"],
    "s": TEXTS,
    "s2": TEXTS[:6],
    "b": ["true", "false"],
    "dt": [
        "date'0001-01-01'",
        "date'9999-12-31'",
        "date_from_unix_date(2147483647)",
        "date'2013-02-28'",
        "date_from_unix_date(-2147483648)",
    ],
    "ts": [
        "timestamp'0001-01-01'",
        "timestamp'9999-12-31 23:59:59.999999'",
        "timestamp'2013-09-01 06:30:00'",
        "timestamp_micros(9223372036854775807)",
        "timestamp_micros(-9223372036854775808)",
    ],
    "x": ["X''", "X'00ff'"],
    "ai": ["array()", "array(1, 2)", "array(2147483647, null)"],
    "as": ["array()", "array('a', null)"],
    "mp": ["map()", "map('a', 1, 'b', null)"],
    "st": ["named_struct('a', 1, 'b', array(1.5))", "named_struct('a', null, 'b', array())"],
}
COLUMNS_FOR = {
    "number": "y h i l f d n m k",
    "double": "i l f d m k",
    "int": "y h i",
    "day": "dt",
    "modulus": "y h i l f d",
    "string": "s s2",
    "boolean": "b",
    "date": "dt ts",
    "timestamp": "ts",
    "any": "i d s dt ai mp st",
    "array": "ai `as`",
    "map": "mp",
    "collection": "ai mp",
    "scalar": "s i d n b dt ts",
    "hashed": "s i d n b dt ts x ai st",
    "texts": "`as`",
    "key": "s",
    "same": "",
    "unit": "'hour' 'year' 'week' 'microsecond'",
    "date_unit": "'month' 'year' 'week'",
    "zone": "'America/New_York' 'Asia/Kathmandu'",
    "format": "'yyyy-MM-dd' 'HH:mm:ss.SSS'",
    "scale": "0 2 30",
    "count": "0 5 1000",
    "bits": "256",
}
SAME = ("i", "l", "d", "n", "s", "b", "dt", "ts")
OPERATORS = (
    "{0} + {1}", "{0} - {1}", "{0} * {1}", "{0} / {1}", "{0} % {1}", "-{0}", "{0} < {1}", "{0} = {1}", "{0} <=> {1}",
    "{0} between {1} and {0}", "case when {0} > {1} then {0} end", "case {0} when {1} then 1 else 2 end",
    "{0} in ({1}, {0})",
)  # fmt: skip
OTHERS = (
    "dt + i", "dt - i", "ts + interval 500000 weeks", "ts - interval 5 minutes", "ts < dt", "dt >= ts", "s || i || dt",
    "s like '%a\\\\_%'", "s is null", "b and not (i > 1) or d is not null", "(i > 1) is true", "st.a + 1", "st.b[i]",
    "ai[i]", "mp['zz']", "mp[s]", "ai = ai", "st = st", "if(b, i, l)", "date '2013-09-01'", "timestamp '2013-09-01 06:00:00'",
    "dt = date '2013-09-01'", "ts > timestamp '2013-09-01T06:00:00+02:00'", "'it''s \\\\ \"' || s", "null", "-5L + l", "1.5BD * n", "1e3",
    "1.75e308", "-1.7976931348623157e308", "3.40282346e38f", "1e-999999999", "floor(cast(i as decimal(9,0)))", "ceil(cast(i as decimal(38,0)))", "'\\ud83d\\ude00'",
)  # fmt: skip
CASTS = tuple(
    f"cast({column} as {kind})"
    for column in ("i", "l", "d", "m", "s", "b", "dt", "ts")
    for kind in (
        "tinyint",
        "int",
        "bigint",
        "float",
        "double",
        "decimal(5,2)",
        "string",
        "date",
        "timestamp",
        "boolean",
    )
)


def _accepted(text: str) -> str | None:
    try:
        return parse_expression(text, where="t", types=TYPES).sql
    except ConfigError:
        return None


def _calls(name: str, function: Function) -> list[str]:
    """Calls of a function over every column of every kind it takes, and with each number of arguments."""
    found = []
    for count in range(max(function.least, 1), len(function.parameters) + 1):
        kinds = [function.parameter(index) for index in range(count)]
        if "same" in kinds:
            choices = [[column if kind == "same" else "b" for kind in kinds] for column in SAME]
        elif "element" in kinds:
            choices = [["ai", "i"], ["`as`", "s"]]
        else:
            choices = [list(c) for c in itertools.product(*(COLUMNS_FOR[kind].split() for kind in kinds))]
        found += [f"{name}({', '.join(choice)})" for choice in choices]
    return found


def all_expressions() -> list[str]:
    calls = [call for name, function in FUNCTIONS.items() for call in _calls(name, function)]
    numbers = ["y", "h", "i", "l", "f", "d", "n", "m", "k"]
    pairs = [operator.format(*p) for operator in OPERATORS for p in itertools.product(numbers, numbers)]
    return [text for text in (*calls, *pairs, *OTHERS, *CASTS) if _accepted(text)]


def _frame_sql() -> str:
    """Rows of extreme values: each column's list repeated with its own step, and one row of nulls."""
    selected = []
    for name, kind in TYPES.items():
        values = ", ".join(f"cast({_number(v, kind)} as {kind})" for v in EXTREME[name])
        selected.append(
            f"element_at(array({values}, null), cast(id % {len(EXTREME[name]) + 1} as int) + 1) as `{name}`"
        )
    return f"select {', '.join(selected)} from range(400)"


def _number(text: str, kind: str) -> str:
    return f"'{text}'" if kind in ("float", "double", "bigint") or kind.startswith("decimal") else text


@pytest.fixture
def extreme(spark: SparkSession, tmp_path: Path) -> DataFrame:
    # through a file: the optimizer must know none of the values
    spark.sql(_frame_sql()).write.parquet(f"{tmp_path}/extreme")
    return spark.read.parquet(f"{tmp_path}/extreme")


def test_nothing_raises_and_types_are_sparks(extreme: DataFrame) -> None:
    texts = all_expressions()
    assert {name for name in FUNCTIONS if not any(text.startswith(f"{name}(") for text in texts)} == set()
    expressions = [parse_expression(text, where="t", types=TYPES) for text in texts]
    wrong = []
    for start in range(0, len(expressions), 150):
        part = expressions[start : start + 150]
        frame = extreme.selectExpr(*(f"{e.sql} as c{index}" for index, e in enumerate(part)))
        frame.write.format("noop").mode("overwrite").save()
        found = [field.dataType.simpleString().replace("void", "null") for field in frame.schema]
        wrong += [(e.text, e.type, name) for e, name in zip(part, found, strict=True) if e.type != name]
    assert wrong == []


atoms = st.sampled_from(["i", "l", "d", "n", "2", "1.5", "3L", "-4", "(i + 1)", "abs(i)", "-n", "coalesce(i, l)"])
numbers = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.builds(lambda a, s, b: f"{a} {s} {b}", inner, st.sampled_from("+-*"), atoms),
        st.builds(lambda a, s, b: f"{a} {s} {b}", inner, st.sampled_from("/%"), st.sampled_from(["2", "7", "1.5"])),
        st.builds(lambda a, b: f"if({a} > 3, {a}, {b})", atoms, atoms),
    ),
    max_leaves=4,
)
tests = st.builds(
    lambda a, s, b: f"{a} {s} {b}", numbers, st.sampled_from(["=", "<", ">=", "<>", "<=>", "!="]), numbers
) | st.builds(lambda a, b, c: f"{a} not between {b} and {c}", numbers, atoms, atoms)
conditions = st.recursive(
    tests | st.sampled_from(["b", "s like 'a%'", "s in ('abc', 'x')", "s is not null", "b is true", "not b = b"]),
    lambda inner: st.builds(
        lambda n, a, s, b: f"{n}{a} {s} {b}",
        st.sampled_from(["", "not "]),
        inner,
        st.sampled_from(["and", "or"]),
        inner,
    ),
    max_leaves=5,
)
texts = st.builds(
    lambda a, b: f"{a} || {b} || i",
    st.sampled_from(["s", "'it''s'", '"q"', "upper(s)"]),
    st.sampled_from(["s", "dt", "b"]),
)
ORDINARY = """
    select cast(id - 2 as int) as i, id * 3 as l, id / 4 as d, cast(id - 1.25 as decimal(10,2)) as n,
    element_at(array('abc', null, 'x', 'äb'), cast(id + 1 as int)) as s, id % 2 = 0 as b,
    date_add(date'2013-02-27', cast(id as int)) as dt from range(4)
"""


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(written=st.lists(numbers | conditions | texts, min_size=60, max_size=60))
def test_the_meaning_is_sparks_own(spark: SparkSession, written: list[str]) -> None:
    safe = [parse_expression(text, where="t", types=TYPES).sql for text in written]
    frame = spark.sql(ORDINARY)
    expected = frame.selectExpr(*(f"{text} as c{index}" for index, text in enumerate(written))).collect()
    actual = frame.selectExpr(*(f"{text} as c{index}" for index, text in enumerate(safe))).collect()
    columns = zip(written, zip(*expected, strict=True), zip(*actual, strict=True), strict=True)
    assert [(text, plain, made) for text, plain, made in columns if plain != made] == []


PLAIN_RAISES = (
    "i + 2147483647", "l * l", "i / 0", "i % 0", "-y", "abs(y)", "cast(s as int)", "cast(d as int)", "ai[7]", "element_at(ai, 0)",
    "-m", "pmod(i, 0)", "date_trunc('hour', ts)",
)  # fmt: skip


@pytest.mark.parametrize("text", PLAIN_RAISES)
def test_without_the_safe_form_spark_raises(extreme: DataFrame, text: str) -> None:
    safe = parse_expression(text, where="t", types=TYPES).sql
    with pytest.raises(Exception, match=r"[A-Z_]{5}|overflow"):
        extreme.selectExpr(f"{text} as r").write.format("noop").mode("overwrite").save()
    extreme.selectExpr(f"{safe} as r").write.format("noop").mode("overwrite").save()
