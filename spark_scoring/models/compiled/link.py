"""From margins to score and label: what `ModelLink.java` does, by the same numbers."""

from enum import IntEnum

from spark_scoring.models.compiled.content import Content


class Link(IntEnum):
    """The function between margin and score. SHARES: the margins are sums of shares, to be divided by `factor`."""

    IDENTITY = 0
    EXP = 1
    SIGMOID = 2
    SOFTMAX = 3
    SHARES = 4
    SIGMOIDS = 5
    SQUARE = 6
    TWO_WAY = 7
    LOG1P_EXP = 8
    NORMALIZED = 9


class Rule(IntEnum):
    """The label of two classes: the one of the greater share, or the second if the margin is >= 0, or > 0."""

    GREATEST = 0
    NOT_NEGATIVE = 1
    POSITIVE = 2


def link_content(
    link: Link,
    *,
    classes: tuple[str, ...],
    outputs: int,
    rule: Rule = Rule.GREATEST,
    factor: float = 1.0,
    floats: bool = False,
) -> Content:
    """The last part of a compiled model; `floats`: its scores are rounded to float32."""
    whole = Content().number(outputs).number(link).number(rule).number(int(floats))
    return whole.doubles([factor]).texts(classes)
