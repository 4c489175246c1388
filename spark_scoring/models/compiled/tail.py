"""What comes after the steps of a compiled model."""

from dataclasses import dataclass

from spark_scoring.models.compiled.content import Content
from spark_scoring.models.compiled.forest import Trees


@dataclass(frozen=True, kw_only=True, eq=False)
class Tail:
    """The margins, the score and label made of them, and the trees behind the margins, if there are any."""

    head: Content
    link: Content
    trees: Trees | None = None

    @staticmethod
    def of(trees: Trees, link: Content) -> "Tail":
        return Tail(head=trees.content, link=link, trees=trees)
