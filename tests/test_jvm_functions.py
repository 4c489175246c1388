"""The Java functions: there in every session and every thread that plans a wide table."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from pyspark.sql import SparkSession

from spark_scoring.errors import ConfigError
from spark_scoring.jvm.functions import call, ready
from spark_scoring.jvm.names import remember_names

Index = list[tuple[int, int, str]]
"""Of each answer the instants from which and until which it holds, ascending."""

HOURLY: Index = [(10, 19, "a"), (20, 24, "b"), (30, 39, "c"), (40, 2**63 - 1, "d")]
SAME_HOURS: Index = [(10, 19, "e"), (20, 29, "f"), (30, 39, "g"), (40, 44, "h")]
TOO_LATE: Index = [(20, 15, "i"), (30, 39, "j")]
BETWEEN: Index = [(3 * i, 3 * i, str(i)) for i in range(15)]


def found(spark: SparkSession, *indexes: Index) -> tuple[bool, list[tuple[str | None, ...]]]:
    """Whether one list of instants serves all indexes, and the answers of each at the instants before 50."""
    ready(spark)
    one_each = ",".join("1" for _ in indexes)
    one = call("as_of_indexes", "", f"struct({', '.join(map(as_sql, indexes))})")
    answers = call("as_of_answers", one_each, "one", "id")
    rows = (
        spark.range(50).selectExpr(f"{one} as one", "id").selectExpr("one.instants", f"{answers} as answers").collect()
    )
    (together,) = {row["instants"] is not None for row in rows}
    return together, [tuple(row["answers"]) for row in rows]


def as_sql(index: Index) -> str:
    begins, ends = (", ".join(f"{answer[field]}L" for answer in index) for field in (0, 1))
    names = ", ".join(f"'{name}'" for _, _, name in index)
    return f"named_struct('from', array({begins}), 'until', array({ends}), 'take_0', array({names}))"


def wanted(*indexes: Index) -> list[tuple[str | None, ...]]:
    """By the definition: the last that began, if it still holds."""
    return [tuple(answer(index, at=at) for index in indexes) for at in range(50)]


def answer(index: Index, *, at: int) -> str | None:
    _, until, name = [(-1, -1, ""), *(one for one in index if one[0] <= at)][-1]
    return name if at <= until else None


def test_a_thread_that_did_not_add_the_functions_finds_them(spark: SparkSession) -> None:
    with ThreadPoolExecutor(1) as first, ThreadPoolExecutor(1) as second:
        session = spark.newSession()
        first.submit(ready, session).result()

        assert second.submit(found, session, HOURLY).result() == (True, wanted(HOURLY))
        assert first.submit(found, session, HOURLY).result() == (True, wanted(HOURLY))


def test_each_session_has_them(spark: SparkSession) -> None:
    assert [found(session, HOURLY) for session in (spark, spark.newSession())] == [(True, wanted(HOURLY))] * 2


def test_spark_connect_is_refused_with_what_to_do() -> None:
    session = type("SparkSession", (), {"__module__": "pyspark.sql.connect.session"})()

    with pytest.raises(ConfigError, match="Use a classic session"):
        ready(session)


def test_names_are_looked_up_once(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    jvm: Any = spark._jvm
    asked, send = list[str](), jvm._gateway_client.send_command

    def counted(command: str, *given: Any, **options: Any) -> Any:
        asked.append(command)
        return send(command, *given, **options)

    def look_ups() -> int:
        asked.clear()
        assert spark.range(3).selectExpr("id % 2 as odd", "id").groupBy("odd").count().count() == 2
        assert jvm.java.lang.System.currentTimeMillis() > 0
        return sum(command.startswith(("r\nu\nPythonUtils\n", "r\nu\njava\n")) for command in asked)

    monkeypatch.setattr(jvm._gateway_client, "send_command", counted)
    for name in vars(jvm).keys() & {"PythonUtils", "java"}:
        monkeypatch.delattr(jvm, name)
    before = look_ups()
    remember_names(spark)
    assert before > 1 and look_ups() == 0


@pytest.mark.parametrize(
    ("indexes", "together"),
    [([HOURLY, SAME_HOURS, TOO_LATE], True), ([BETWEEN], False), ([HOURLY, BETWEEN, TOO_LATE], False)],
)
def test_answers_do_not_depend_on_whether_one_list_of_instants_serves_all_indexes(
    spark: SparkSession, indexes: list[Index], together: bool
) -> None:
    assert found(spark, *indexes) == (together, wanted(*indexes))


@pytest.mark.parametrize(
    "value",
    [
        "7L", "-0.0D", "float(1.5)", "3", "timestamp'2020-01-01 00:00:00'", "date'2020-01-01'", "interval '1' day",
        "1.5BD", "true", "'ü'", "x'00ff'", "array(1.5D, null)", "map(1, 2)", "named_struct('x', 1.5D)",
    ],
)  # fmt: skip
def test_an_answer_of_any_type_is_what_the_table_holds(spark: SparkSession, value: str) -> None:
    ready(spark)
    index = f"named_struct('from', array(1L, 2L), 'until', array(1L, 2L), 'take_0', array({value}, null))"
    one = call("as_of_indexes", "", f"struct({index})")
    answer = f"{call('as_of_answers', '1', 'one', 'id')}.a0"
    rows = spark.range(3).selectExpr(f"{one} as one", "id").selectExpr(f"{answer} as answer", f"{value} as held")

    assert [row["answer"] for row in rows.collect()] == [None, rows.first()["held"], None]
