"""A compiled model as a jar of its own: plain Java, and functions for Spark SQL and Hive over it."""

import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

from pyspark.sql import SparkSession

from spark_scoring.errors import not_exported
from spark_scoring.jvm.functions import export_classes
from spark_scoring.models.compiled.choose import chosen
from spark_scoring.models.package import Package

PLACE = "spark_scoring/exported"
PLAIN = re.compile("[A-Za-z_][A-Za-z0-9_]*")
README = """# {name} {version}

Digest {digest}. The columns, in this order:

{columns}

Java, without Spark (one instance for each thread):

    double[] found = new spark_scoring.exported.ExportedModel().score(new Object[] {{...}});
    // found[0]: the score, NaN for a row that cannot be scored; found[1]: the place of the class in labels(), or -1
    // boosted trees are up to three times faster in a JVM with --add-modules jdk.incubator.vector, as Spark's are

Spark SQL, started with `--jars {jar} --conf spark.sql.catalog.{function}=spark_scoring.exported.SparkFunctions`:

    SELECT {function}.score({arguments}), {function}.label({arguments}) FROM rows

Hive, and Spark SQL with Hive support:

    CREATE TEMPORARY FUNCTION {function}_score AS 'spark_scoring.exported.HiveScore' USING JAR '{jar}';
    SELECT {function}_score({arguments}) FROM rows
"""


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What was written: the jar, and how it is used."""

    jar: Path
    readme: Path


def export(spark: SparkSession, package: Package, folder: Path) -> Exported:
    """Write the model as a jar and a README into the folder; the session is needed for its compiler alone.

    Raises: RunError: the model has no compiled form that agrees with the library.
    """
    choice = chosen(spark, package)
    if choice.compiled is None:
        raise not_exported(package.uri, reason=choice.why)
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{package.name}-{package.version}"
    jar, readme = folder / f"{name}.jar", folder / f"{name}.md"
    inputs = "".join(f"{feature.name}\t{feature.type}\n" for feature in package.features)
    with zipfile.ZipFile(jar, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, code in export_classes(spark).items():
            archive.writestr(path, code)
        archive.writestr(f"{PLACE}/model.bin", choice.compiled.content)
        archive.writestr(f"{PLACE}/inputs.txt", inputs)
    readme.write_text(_readme(package, jar), "utf-8")
    return Exported(jar=jar, readme=readme)


def _readme(package: Package, jar: Path) -> str:
    return README.format(
        name=package.name,
        version=package.version,
        digest=package.digest,
        columns="\n".join(f"- `{feature.name}` {feature.type}" for feature in package.features),
        arguments=", ".join(map(_column, [feature.name for feature in package.features])),
        function=_function(package.name),
        jar=jar.name,
    )


def _column(name: str) -> str:
    return name if PLAIN.fullmatch(name) else "`" + name.replace("`", "``") + "`"


def _function(name: str) -> str:
    """A name that Spark's SQL takes without quotes."""
    plain = re.sub(r"[^a-z0-9_]", "_", name.lower())
    return plain if PLAIN.fullmatch(plain) else f"model_{plain}"
