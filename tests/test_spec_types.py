import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyspark.sql.types import StructType

from spark_scoring.errors import ConfigError
from spark_scoring.spec.types import ALIASES, ATOMIC, parse_declared, parse_type

atoms = st.sampled_from([name for name in ATOMIC if "(" not in name] + [*ALIASES]) | st.builds(
    lambda p, s: f"DECIMAL( {max(p, s)},{s})", st.integers(1, 38), st.integers(0, 38)
)
types = st.recursive(
    atoms,
    lambda t: st.one_of(
        st.builds("array<{}>".format, t),
        st.builds("MAP<{}, {}>".format, t, t),
        st.builds("struct<a: {}, B {}>".format, t, t),
    ),
    max_leaves=4,
)


@given(types)
def test_a_canonical_type_is_itself(text: str) -> None:
    once = parse_type(text, where="x")
    assert parse_type(once, where="x") == once


def test_types_are_sparks_own(spark) -> None:  # type: ignore[no-untyped-def]  # the fixture needs no type here
    texts = [
        *(name for name in ATOMIC if "(" not in name),
        *ALIASES,
        "decimal(7, 3)",
        "decimal(5)",
        "decimal",
    ]
    texts += ["array<map<string, Struct<a: LONG, b int>>>", "struct<X:array<dec(38,38)>>"]
    expected = [StructType.fromDDL(f"c {text}")["c"].dataType.simpleString() for text in texts]
    assert [parse_type(text, where="x") for text in texts] == expected


@pytest.mark.parametrize(
    "text",
    ["", "strng", "decimal(39,1)", "decimal(2,3)", "decimal(0,0)", "array", "array<int", "array<int,int>", "map<int>",
     "struct<>", "struct<a:int,A:int>", "int null", "int not", "string not null x", "char(3)", "void", "a b", "int;",
     f"decimal({'9' * 5000})", f"decimal(9,{'9' * 5000})", "array<" * 2000 + "int" + ">" * 2000, "a" * 5000],
)  # fmt: skip
def test_what_is_no_type(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^x: ") as caught:
        parse_declared(text, where="x")
    assert len(str(caught.value)) < 500


def test_nullability_and_nearest_name() -> None:
    assert [parse_declared(t, where="x").nullable for t in ("int", "int NOT NULL")] == [True, False]
    with pytest.raises(ConfigError, match="Did you mean 'string'"):
        parse_type("strng", where="x")
