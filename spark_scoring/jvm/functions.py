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
EXPORT = Path(__file__).parent / "export"
EXPORT_PACKAGE = "spark_scoring.exported"
# of the sources for models, those that need a session of Spark
IN_SESSION = tuple(
    f"{name}.java"
    for name in ("AnsweredScores", "ArrayTexts", "ModelCache", "ModelScores", "ScoreArray", "ScoreEntries", "SentModel")
)
PACKAGE = "spark_scoring.jvm"
CATALOG = "spark_scoring"
_SETTING = f"spark.sql.catalog.{CATALOG}"
_LOADERS: dict[Any, Any] = {}
# The JVM never compiles a method of more than 8,000 bytes, and a row of 80 columns is one: it is ten times slower than
# a stage for which Spark generates no code of its own.
LONGEST = ("spark.sql.codegen.hugeMethodLimit", "8000")
_LONGEST_OF_SPARK = "65535"


def is_remote(spark: SparkSession) -> bool:
    """Whether the session is one of Spark Connect, which takes no functions of Java."""
    return type(spark).__module__.startswith("pyspark.sql.connect")


def ready(spark: SparkSession) -> None:
    """See to it that `call` can be used in the session; a second time costs next to nothing.

    Raises: ConfigError: the session is one of Spark Connect, which takes no functions.
    """
    if is_remote(spark):
        raise needs_classic_session()
    jvm: Any = spark._jvm
    thread = jvm.Thread.currentThread()
    if jvm not in _LOADERS or spark.conf.get(_SETTING, None) is None:
        spark.sql(f"ADD JAR '{_jar(jvm)}'")
        spark.conf.set(_SETTING, f"{PACKAGE}.Functions")
        no_huge_methods(spark)
        _LOADERS[jvm] = thread.getContextClassLoader()
    # Spark looks for a catalog's class where the thread looks, and a stream has a thread and a session of its own
    thread.setContextClassLoader(_LOADERS[jvm])


def call_static(spark: SparkSession, name: str, method: str, *given: Any) -> Any:
    """What a static method of a class of this package returns."""
    ready(spark)
    gateway: Any = spark.sparkContext._gateway
    methods = _LOADERS[gateway.jvm].loadClass(f"{PACKAGE}.{name}").getMethods()
    arguments = gateway.new_array(gateway.jvm.Object, len(given))
    for i, argument in enumerate(given):
        arguments[i] = argument
    return next(one for one in methods if one.getName() == method).invoke(None, arguments)


def no_huge_methods(spark: SparkSession) -> None:
    """Have the session generate no code that the JVM leaves uncompiled, unless it has a limit of its own."""
    setting, limit = LONGEST
    if spark.conf.get(setting, _LONGEST_OF_SPARK) == _LONGEST_OF_SPARK:
        spark.conf.set(setting, limit)


def call(kind: str, text: str, *arguments: str) -> str:
    """The function of a kind, told what to do, of these expressions; as SQL."""
    return f"{CATALOG}.`{kind}:{text}`({', '.join(arguments)})"


def export_classes(spark: SparkSession) -> dict[str, bytes]:
    """The classes of an exported model: path in a jar -> bytes. They are in a package of their own."""
    plain = [source for source in (SOURCES / "models").glob("*.java") if source.name not in IN_SESSION]
    return _classes(spark._jvm, [*plain, *EXPORT.glob("*.java")], package=EXPORT_PACKAGE)


@cache
def _jar(jvm: Any) -> Path:
    """A jar with the compiled classes, in a folder that lives as long as this process."""
    folder = Path(tempfile.mkdtemp(prefix="spark-scoring-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    jar = folder / "functions.jar"
    with zipfile.ZipFile(jar, "w") as archive:
        for path, code in _classes(jvm, list(SOURCES.rglob("*.java")), package=PACKAGE).items():
            archive.writestr(path, code)
    return jar


def _classes(jvm: Any, sources: list[Path], *, package: str) -> dict[str, bytes]:
    """Path in a jar -> bytes of each class in these sources."""
    compiler = jvm.org.codehaus.janino.SimpleCompiler()
    compiler.setParentClassLoader(jvm.Thread.currentThread().getContextClassLoader())
    compiler.cook(_unit(sources, package=package))
    return {f"{name.replace('.', '/')}.class": bytes(code) for name, code in dict(compiler.getBytecodes()).items()}


def _unit(sources: list[Path], *, package: str) -> str:
    """All sources as one compilation unit: one package line, every import once, then the classes."""
    lines = [line for source in sorted(sources) for line in source.read_text("utf-8").splitlines()]
    imports = sorted({line for line in lines if line.startswith("import ")})
    rest = [line for line in lines if not line.startswith(("import ", "package "))]
    return "\n".join([f"package {package};", *imports, *rest])
