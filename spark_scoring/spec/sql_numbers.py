"""The types that Spark gives to numbers and to what is computed from them (ANSI mode)."""

import re
from decimal import Decimal

INTEGERS = ("tinyint", "smallint", "int", "bigint")
DIGITS = {"tinyint": 3, "smallint": 5, "int": 10, "bigint": 20}
SUFFIXES = {"l": "bigint", "s": "smallint", "y": "tinyint", "d": "double", "f": "float"}
MOST = 38
# as Spark's parser has them
GREATEST = {"float": Decimal("3.4028234663852886e38"), "double": Decimal("1.7976931348623157e308")}


def family(name: str) -> str:
    """The family of a type: number, string, array, … ('null' and '?' stand for themselves)."""
    if name in INTEGERS or name in ("float", "double") or name.startswith("decimal"):
        return "number"
    return name.split("<")[0]


def literal_type(text: str) -> str | None:
    """The type of a number as written, or None if its value does not fit."""
    found = re.fullmatch(r"(-?)([0-9.]+)(e[-+]?[0-9]{1,9})?(bd|[lsydf])?", text.lower())
    if not found:
        return None
    if found[4] in ("l", "s", "y"):
        kind = SUFFIXES[found[4]]
        fits = "." not in found[2] and not found[3] and _is_in(kind, found[1], found[2])
        return kind if fits else None
    if found[4] in ("d", "f") or (found[3] and not found[4]):
        kind = SUFFIXES[found[4] or "d"]
        return kind if Decimal(text.rstrip("dDfF")).copy_abs() <= GREATEST[kind] else None
    if found[3]:
        return None
    return _decimal_or_integer(found[1], found[2], forced=found[4] == "bd")


def integer_range(name: str) -> range:
    bits = {"tinyint": 8, "smallint": 16, "int": 32, "bigint": 64}[name]
    return range(-(2 ** (bits - 1)), 2 ** (bits - 1))


def _is_in(kind: str, sign: str, digits: str) -> bool:
    # Python reads no number of thousands of digits
    digits = digits.lstrip("0") or "0"
    return len(digits) <= DIGITS["bigint"] and int(sign + digits) in integer_range(kind)


def _decimal_or_integer(sign: str, digits: str, *, forced: bool) -> str | None:
    if "." not in digits and not forced:
        for kind in ("int", "bigint"):
            if _is_in(kind, sign, digits):
                return kind
    whole, _, fraction = digits.partition(".")
    significant = len((whole + fraction).lstrip("0"))
    precision = max(significant, len(fraction), 1)
    return decimal(precision, len(fraction)) if precision <= MOST else None


def decimal(precision: int, scale: int) -> str:
    return f"decimal({precision},{scale})"


def shape(name: str) -> tuple[int, int] | None:
    """Precision and scale of an exact number, None for float and double."""
    if name in DIGITS:
        return DIGITS[name], 0
    found = re.fullmatch(r"decimal\((\d+),(\d+)\)", name)
    return (int(found[1]), int(found[2])) if found else None


def _fitted(precision: int, scale: int) -> str:
    """Spark's way to fit a decimal into 38 digits: at least 6 of the fraction are kept."""
    if precision <= MOST:
        return decimal(precision, scale)
    return decimal(MOST, max(MOST - (precision - scale), min(scale, 6)))


def wider(left: str, right: str) -> str:
    """The common type of two numbers where they are compared or chosen from."""
    first, second = shape(left), shape(right)
    if first is None or second is None:
        return "float" if left == right == "float" else "double"
    if left in INTEGERS and right in INTEGERS:
        return max(left, right, key=INTEGERS.index)
    scale = max(first[1], second[1])
    return decimal(min(max(first[0] - first[1], second[0] - second[1]) + scale, MOST), scale)


def loses_digits(left: str, right: str) -> bool:
    """Whether the common type of two numbers cannot hold both: Spark's cast to it could fail."""
    first, second = shape(left), shape(right)
    if first is None or second is None or left == right:
        return False
    return max(first[0] - first[1], second[0] - second[1]) + max(first[1], second[1]) > MOST


def arithmetic_type(sign: str, left: str, right: str) -> str:
    """The type of `left sign right` for two numbers."""
    first, second = shape(left), shape(right)
    if first is None or second is None:
        return "double" if sign == "/" or left != right else left
    if left in INTEGERS and right in INTEGERS:
        return "double" if sign == "/" else max(left, right, key=INTEGERS.index)
    (p1, s1), (p2, s2) = first, second
    whole, scale = max(p1 - s1, p2 - s2), max(s1, s2)
    if sign == "*":
        return _fitted(p1 + p2 + 1, s1 + s2)
    if sign == "/":
        scale = max(6, s1 + p2 + 1)
        return _fitted(p1 - s1 + s2 + scale, scale)
    return _fitted(min(p1 - s1, p2 - s2) + scale, scale) if sign == "%" else _fitted(whole + scale + 1, scale)
