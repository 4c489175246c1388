"""Java functions in a Spark session: compiled by the compiler that Spark ships, named in a catalog of their own."""

import atexit
import shutil
import tempfile
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from spark_scoring.errors import needs_classic_session

SOURCES = Path(__file__).parent / "java"
PACKAGE = "spark_scoring.jvm"
CATALOG = "spark_scoring"
_SETTING = f"spark.sql.catalog.{CATALOG}"
_LOADERS: dict[Any, Any] = {}


def ready(spark: SparkSession) -> None:
    """See to it that `call` can be used in the session; a second time costs next to nothing.

    Raises: ConfigError: the session is one of Spark Connect, which takes no functions.
    """
    if type(spark).__module__.startswith("pyspark.sql.connect"):
        raise needs_classic_session()
    jvm: Any = spark._jvm
    thread = jvm.Thread.currentThread()
    if jvm not in _LOADERS or spark.conf.get(_SETTING, None) is None:
        spark.sql(f"ADD JAR '{_jar(jvm)}'")
        spark.conf.set(_SETTING, f"{PACKAGE}.Functions")
        _LOADERS[jvm] = thread.getContextClassLoader()
    # Spark looks for a catalog's class where the thread looks, and a stream has a thread and a session of its own
    thread.setContextClassLoader(_LOADERS[jvm])


def call(kind: str, text: str, *arguments: str) -> str:
    """The function of a kind, told what to do, of these expressions; as SQL."""
    return f"{CATALOG}.`{kind}:{text}`({', '.join(arguments)})"


@cache
def _jar(jvm: Any) -> Path:
    """A jar with the compiled classes, in a folder that lives as long as this process."""
    compiler = jvm.org.codehaus.janino.SimpleCompiler()
    compiler.setParentClassLoader(jvm.Thread.currentThread().getContextClassLoader())
    compiler.cook(_unit())
    folder = Path(tempfile.mkdtemp(prefix="spark-scoring-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    jar = folder / "functions.jar"
    with zipfile.ZipFile(jar, "w") as archive:
        for name, code in dict(compiler.getBytecodes()).items():
            archive.writestr(f"{name.replace('.', '/')}.class", bytes(code))
    return jar


def _unit() -> str:
    """All sources as one compilation unit: one package line, every import once, then the classes."""
    lines = [line for source in sorted(SOURCES.rglob("*.java")) for line in source.read_text().splitlines()]
    imports = sorted({line for line in lines if line.startswith("import ")})
    rest = [line for line in lines if not line.startswith(("import ", "package "))]
    return "\n".join([f"package {PACKAGE};", *imports, *rest])
