"""The Java functions: there in every session and every thread that plans a wide table."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from pyspark.sql import SparkSession

from spark_scoring.errors import ConfigError
from spark_scoring.jvm.functions import call, ready
from spark_scoring.jvm.names import remember_names


def found(spark: SparkSession) -> list[int]:
    index = "named_struct('from', array(10L, 20L), 'until', array(19L, 29L))"
    ready(spark)
    rows = spark.range(5, 35, 10).selectExpr(f"{call('as_of_position', '', index, 'id')} as position")
    return [row["position"] for row in rows.collect()]


def test_a_thread_that_did_not_add_the_functions_finds_them(spark: SparkSession) -> None:
    with ThreadPoolExecutor(1) as first, ThreadPoolExecutor(1) as second:
        session = spark.newSession()
        first.submit(ready, session).result()

        assert second.submit(found, session).result() == [-1, 0, 1]
        assert first.submit(found, session).result() == [-1, 0, 1]


def test_each_session_has_them(spark: SparkSession) -> None:
    assert [found(session) for session in (spark, spark.newSession(), spark)] == [[-1, 0, 1]] * 3


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
