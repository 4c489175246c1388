"""What Spark and the JVM complain about, in one line without Java."""

from collections.abc import Iterator
from typing import Any

from py4j.protocol import Py4JJavaError

LONGEST = 300
GONE = "[FAILED_READ_FILE.FILE_NOT_EXIST]"
TRACE = "Traceback (most recent call last)"


def cause_of(error: BaseException) -> str:
    """The innermost cause of an error of Spark, Java or Python: its kind and the first line of what it says."""
    java = list(causes_of(error))
    kind = str(java[-1].getClass().getSimpleName()) if java else type(error).__name__
    text = str(java[-1].getMessage() or "") if java else str(error)
    line = _line(text)
    # Spark's own conditions, [LIKE_THIS], say more than the class that carries them
    full = line if line.startswith("[") else f"{kind}: {line}" if line else kind
    return full if len(full) <= LONGEST else f"{full[:LONGEST]}…"


def missing_file(error: BaseException) -> str | None:
    """What Spark, Delta or the file system says of a file that was to be read and is gone; None of other errors."""
    for java in causes_of(error):
        text = str(java.getMessage() or "")
        if GONE in text or str(java.getClass().getSimpleName()).endswith("FileNotFoundException"):
            return text
    return None


def causes_of(error: BaseException) -> Iterator[Any]:
    """The Java exceptions behind an error of Spark's, outermost first."""
    java = _java(error)
    while java is not None:
        yield java
        java = java.getCause()


def _java(error: BaseException) -> Any:
    return error.java_exception if isinstance(error, Py4JJavaError) else getattr(error, "_origin", None)


def _line(text: str) -> str:
    """The first line; of a Python worker's trace the line that names the exception."""
    lines = [line for line in text.strip().splitlines() if line.strip()]
    if TRACE in text:
        begun = next(i for i, line in enumerate(lines) if TRACE in line)
        return next((line for line in lines[begun + 1 :] if not line.startswith(" ")), lines[0]).rstrip(".")
    return lines[0].strip().rstrip(".") if lines else ""
