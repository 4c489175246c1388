# ruff: noqa: E501  a table of cases reads better with one case a line
"""What the row-local SQL makes of a text: an expression or a refusal, and a value or null."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession
from sql_columns import TYPES

from spark_scoring.errors import ConfigError
from spark_scoring.spec.sql import parse_expression
from spark_scoring.spec.sql_tokens import quote, tokenize
from spark_scoring.spec.zones import ZONES


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_quoted_text_is_read_back(value: str) -> None:
    assert tokenize(quote(value), where="t")[0].value == value


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), min_size=30, max_size=30))
def test_spark_reads_a_quoted_text_as_we_do(spark: SparkSession, values: list[str]) -> None:
    row = spark.sql("select " + ", ".join(f"{quote(value)} as c{index}" for index, value in enumerate(values))).first()
    assert row is not None and list(row) == values


def test_spark_replaces_no_variable_in_a_text(spark: SparkSession) -> None:
    texts = ["${env:HOME}", "a${b}c", "$${spark.app.name}", "$", "{}", "\\${x}"]
    literals = [parse_expression(quote(text), where="t").sql for text in texts]
    row = spark.sql(f"select {', '.join(literals)}, 'a' like {quote('a${b}')}").first()
    assert row is not None and list(row) == [*texts, False]


@given(
    st.text(max_size=30)
    | st.lists(
        st.sampled_from(
            [
                "a",
                "i",
                "(",
                ")",
                "[",
                "]",
                ",",
                ".",
                "-",
                "+",
                "*",
                "'x'",
                "1",
                "1.5",
                "case",
                "when",
                "end",
                "not",
                "in",
                "is",
                "null",
                "::",
            ]
        )
    ).map(" ".join)
)
def test_any_text_is_an_expression_or_a_config_error(text: str) -> None:
    try:
        parse_expression(text, where="t", types=TYPES)
    except ConfigError as error:
        assert str(error).startswith("t: ")


@pytest.mark.parametrize(
    "text",
    ["reflect('java.lang.System', 'exit')", "java_method('a', 'b')", "(select 1)", "i in (select 1)", "sum(i)", "rand()",
     "sum(i) over ()", "current_date", "current_timestamp()", "now()", "uuid()", "text.`/etc/passwd`", "*", "count(*)",
     "x -> x", "i; i", "i as j", "i -- c", "i /* c */", "exists(select 1)", "a.b(i)", "@i", "${i}", "i = 'x'", "s + 1",
     "hour(s)", "coalesce(i, s)", "coalesce(m, k)", "case when i then 1 end", "s like s", "interval i day", "1e400",
     "99999999999999999999999999999999999999999", "date '2013-02-30'", "date_trunc(s, ts)", "from_utc_timestamp(ts, 'X/Y')",
     "to_date(s, 'q')", "st.zz", "i.a", "nvl(-null, s)", "coalesce(null + 1, s)", "1 - null", "nvl(abs(null), s)", "nvl(round(null), s)", "nvl(get(null, 0), s)",
     "nvl(element_at(null, 1), s)", "floor(null)", "pmod(null, null)", "map_keys(null)", "nvl(nullif(null, i), s)",
     "'\\U00110000'", "'\\UFFFFFFFF'", "'\\ud800'", "'\ud800'", "1.7976931348623158e308", "3.4028235e38f", "1e-9999999999", "raise_error('x')", "lpad(s, 2000000000, 'x')", "i div 2", "cast(i as foo)",
     "", "`i", "i[1]", "abs(" * 40 + "i" + ")" * 40, "(" * 60 + "i" + ")" * 60, "nosuch", "hour()", "hour(ts, ts)", "from_json(s, 'a int')", "s rlike 'a'", "mp = mp", "`a`` b`"],
)  # fmt: skip
def test_what_is_not_row_local_or_can_raise_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_expression(text, where="t", types=TYPES)


READ = {
    "to_date(s, 'yyyy-MM-dd')": {
        "2013-09-01": "2013-09-01", "+10000-01-01": "+10000-01-01", "-0044-03-15": "-0044-03-15", "+293999-12-31": "+293999-12-31",
        "+300000-01-01": None, "-300000-01-01": None, "+999999999-01-01": None, "2013-09-01 ": None, "2013-09-01\n": None, "2013-9-1": None,
        "2013-13-01": None, "300000-01-01": None,
    },
    "to_timestamp(s, 'dd.MM.yyyy')": {"01.09.2013": "2013-09-01 00:00:00", "01.09.+300000": None},
    "to_timestamp(s, 'yyyyMMdd-HHmmss')": {"20200101-123456": "2020-01-01 12:34:56", "+2940010101-123456": None},
    "to_timestamp(s, 'ss SSSSSSSSS')": {"05 123456789": "1970-01-01 00:00:05.123456"},
    "to_timestamp(s, 'HH:mm')": {"12:30": "1970-01-01 12:30:00"},
    """to_timestamp(s, "yyyy-MM-dd'T'HH:mm:ss.SSS")""": {
        "2013-09-01T06:00:00.250": "2013-09-01 06:00:00.25", "2013-09-01t06:00:00.5": "2013-09-01 06:00:00.5",
        "2013-09-01T06:00:00.": None, "2013-09-01T06:00:00.1234": None,
    },
    "cast(s as decimal(10,2))": {
        " 1.25e2 ": "125.00", "-.5": "-0.50", "1e-9999": "0.00", "1E-20000000": None, "1e-100000000000000000": None, "e": None,
    },
    "cast(s as timestamp)": {
        " 2013-09-01 06:00 ": "2013-09-01 06:00:00", "2013": "2013-01-01 00:00:00", "+12013-09-01": "+12013-09-01 00:00:00",
        "2013-09-01T06:00:00+02:00": "2013-09-01 04:00:00", "12:30:00": None, " T07:08": None, "2013:30": None, "now": None,
    },
    "cast(s as date)": {"2013-9-1": "2013-09-01", "2013-09-01T12": "2013-09-01", "today": None, "epoch": None},
    **{f"cast('{text}' as {kind})": {"now": None} for text in ("now", "today", " Yesterday ", "tomorrow", "12:30") for kind in ("date", "timestamp")},
}  # fmt: skip


def test_a_text_is_read_or_gives_null(spark: SparkSession) -> None:
    texts = [text for wanted in READ.values() for text in wanted]
    safe = [parse_expression(f"cast({text} as string)", where="t", types=TYPES).sql for text in READ]
    frame = spark.createDataFrame([(text,) for text in texts], "s string")
    rows = frame.selectExpr("s", *(f"{sql} as c{index}" for index, sql in enumerate(safe))).collect()
    found = {row.s: row for row in rows}
    read = {text: {s: found[s][f"c{index}"] for s in READ[text]} for index, text in enumerate(READ)}
    assert read == READ


BEYOND = {
    "floor(cast('NaN' as double))": None, "ceil(1e300)": None, "floor(cast('-Infinity' as float))": None,
    "ceiling(-9223372036854775808D)": "-9223372036854775808", "floor(9.3e18)": None, "floor(-2.5e0)": "-3", "ceil(2.5)": "3",
    "date_add(date '2013-09-01', 2147483647)": None, "date '2013-09-01' + 2147483647": None, "date '2013-09-01' - 31": "2013-08-01",
    "date_sub(timestamp '2013-09-01 06:00:00', -1)": "2013-09-02", "date_sub(date '1969-12-31', 2147483647)": "-5877641-06-23",
    "date_sub(date '1969-12-31', 2147483647) - 1": None,
    "datediff(date_from_unix_date(2147483647), date_from_unix_date(-2147483648))": None,
    "datediff(timestamp '2013-09-02', date '2013-09-01')": "1",
    "last_day(date_from_unix_date(2147483647))": None, "last_day(date '2013-02-03')": "2013-02-28",
    "trunc(date_from_unix_date(-2147483648), 'year')": None, "trunc(date '2013-02-03', 'year')": "2013-01-01",
    "pmod(-5, -2147483648)": "-5", "pmod(-7, -3)": "-1", "pmod(7, -3)": "1", "pmod(-7, 3)": "2", "pmod(-7, 0)": None,
    "cast(9223372036854775807 as timestamp)": None, "cast(92233720368547758070000 as timestamp)": None, "cast(1e13 as timestamp)": None,
    "months_between(timestamp '2013-09-01', cast(-9223372036854.7758 as timestamp))": None,
    "months_between(timestamp '2013-09-01', timestamp '2013-07-01')": "2.0",
    "cast(1377993600.5 as timestamp)": "2013-09-01 00:00:00.5",
}  # fmt: skip


def test_what_does_not_fit_its_type_is_null(spark: SparkSession) -> None:
    safe = [parse_expression(f"cast({text} as string)", where="t", types={}).sql for text in BEYOND]
    row = spark.sql(f"select {', '.join(safe)}").first()
    assert row is not None and dict(zip(BEYOND, row, strict=True)) == BEYOND


@pytest.mark.parametrize(
    "format", ["dddd", "HHHH", "mmmm", "ssss", "MMMM", "MMMMMM", "yyyyyyyy", "S" * 10, "S" * 12, "yyyy-ddd", "yy", "M"]
)
def test_a_format_says_what_it_means(format: str) -> None:
    for text in ("date_format(ts, '{}')", "to_date(s, '{}')", "to_timestamp(s, '{}')"):
        with pytest.raises(ConfigError, match="a literal text of yyyy, MM, dd"):
            parse_expression(text.format(format), where="t", types=TYPES)


def test_every_zone_is_known_to_the_jvm(spark: SparkSession) -> None:
    zone_id = spark._jvm.java.time.ZoneId  # type: ignore[union-attr]
    assert [zone for zone in sorted(ZONES) if zone_id.of(zone, zone_id.SHORT_IDS) is None] == []
    assert {"UTC", "EST", "America/New_York", "America/Argentina/Buenos_Aires"} <= ZONES


@pytest.mark.parametrize(
    "text",
    ["+".join(["i"] * 20_000), " or ".join(["b"] * 20_000), "9" * 10_000, "9" * 10_000 + "L", "0." + "0" * 5000 + "1",
     "1e999999999", "9" * 10_000 + "e99999", "(" * 3000 + "i" + ")" * 3000, "i + + " + "x" * 5000, "x" * 5000,
     "i::" + "array<" * 2000 + "int" + ">" * 2000, f"dt + interval {'9' * 5000} days", f"date '{'9' * 5000}'"],
    ids=lambda text: text[:10],
)  # fmt: skip
def test_what_is_too_large_is_refused_in_few_words(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_expression(text, where="x", types=TYPES)
    assert len(str(caught.value)) < 700


@pytest.mark.parametrize(
    ("text", "type"), [("0" * 5000 + "7", "int"), ("0" * 5000 + "7L", "bigint"), ("1e-999999999", "double")]
)
def test_a_number_may_be_long(text: str, type: str) -> None:
    assert parse_expression(text, where="x").type == type


@pytest.mark.parametrize("zone", ["America/Coyhaique", "Factory", "ROC", "localtime", "utc", "+02:00"])
def test_a_zone_that_java_does_not_know_is_refused(zone: str) -> None:
    with pytest.raises(ConfigError, match="a time zone that Java 17 knows"):
        parse_expression(f"from_utc_timestamp(ts, '{zone}')", where="t", types=TYPES)


def test_equal_without_blanks_and_case() -> None:
    one, two = (parse_expression(text, where="t", types=TYPES) for text in ("i+ L*2", "I + l * 2"))
    assert one == two and one.columns == ("i", "l") and one.sql == "try_add(`i`, try_multiply(`l`, 2))"


def test_without_types_any_column_is_read() -> None:
    assert parse_expression("hour(a) + b.c", where="t").columns == ("a", "b")
