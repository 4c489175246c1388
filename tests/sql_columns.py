"""Columns of every type, which the expressions of the tests read."""

TYPES = {
    "y": "tinyint",
    "h": "smallint",
    "i": "int",
    "l": "bigint",
    "f": "float",
    "d": "double",
    "n": "decimal(10,2)",
    "m": "decimal(38,0)",
    "k": "decimal(38,38)",
    "s": "string",
    "s2": "string",
    "b": "boolean",
    "dt": "date",
    "ts": "timestamp",
    "x": "binary",
    "ai": "array<int>",
    "as": "array<string>",
    "mp": "map<string,int>",
    "st": "struct<a:int,b:array<double>>",
}
