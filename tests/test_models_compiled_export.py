"""An exported model: in a class loader without Spark, and in the spark-sql command, as both kinds of function."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyspark
import pytest
from models_data import bits, fitted, wide_rows
from pyspark.errors.exceptions.captured import UnsupportedOperationException
from pyspark.sql import SparkSession
from runtime_models import SAMPLE, packaged
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LinearRegression

from spark_scoring.errors import RunError
from spark_scoring.models.compiled import choose
from spark_scoring.models.compiled.export import Exported, export
from spark_scoring.models.frames import to_pandas
from spark_scoring.models.loaded import load_package
from spark_scoring.models.package import Package

ROWS = wide_rows(60, seed=8)
JAVA = str(Path(os.environ["JAVA_HOME"], "bin", "java")) if os.environ.get("JAVA_HOME") else "java"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    model = fitted(HistGradientBoostingClassifier(max_iter=10), SAMPLE)
    return packaged(model, tmp_path_factory.mktemp("package"), sample=SAMPLE)


@pytest.fixture(scope="module")
def exported(spark_session: SparkSession, package: Package, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return export(spark_session, package, tmp_path_factory.mktemp("jar"))


def test_plain_java_needs_no_spark(spark: SparkSession, package: Package, exported: Exported) -> None:
    jvm: Any = spark._jvm
    urls = spark.sparkContext._gateway.new_array(jvm.java.net.URL, 1)  # type: ignore[union-attr]
    urls[0] = jvm.java.io.File(str(exported.jar)).toURI().toURL()
    loader = jvm.java.net.URLClassLoader(urls, jvm.java.lang.ClassLoader.getPlatformClassLoader())
    model = loader.loadClass("spark_scoring.exported.ExportedModel").newInstance()
    names = [feature.name for feature in package.features]
    assert list(model.inputs()) == names and tuple(model.labels()) == package.classes
    found = []
    for row in ROWS.select(names).to_pylist():
        values = spark.sparkContext._gateway.new_array(jvm.Object, len(names))  # type: ignore[union-attr]
        for place, name in enumerate(names):
            values[place] = row[name]
        found.append(list(model.score(values)))
    library = load_package(package).predict(to_pandas(ROWS))
    assert np.allclose([score for score, _ in found], library["score"], rtol=1e-15)
    assert [package.classes[int(place)] for _, place in found] == library["label"].tolist()


# tells the score of each line in the bits of a double; an empty field is a null
MAIN = """
public class Main {
  public static void main(String[] given) throws Exception {
    spark_scoring.exported.ExportedModel model = new spark_scoring.exported.ExportedModel();
    java.io.BufferedReader in = new java.io.BufferedReader(new java.io.InputStreamReader(System.in));
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      String[] fields = line.split("\\t", -1);
      Object[] row = new Object[fields.length];
      for (int i = 0; i < row.length; i++) {
        if (fields[i].isEmpty()) row[i] = null;
        else if (model.inputs()[i].equals("carrier")) row[i] = fields[i];
        else row[i] = Double.valueOf(fields[i]);
      }
      System.out.println(Double.doubleToRawLongBits(model.score(row)[0]));
    }
  }
}
"""


def test_a_bare_jvm_scores_the_same_with_vectors_and_without(
    spark: SparkSession, package: Package, exported: Exported, tmp_path: Path
) -> None:
    jvm: Any = spark._jvm
    urls = spark.sparkContext._gateway.new_array(jvm.java.net.URL, 1)  # type: ignore[union-attr]
    urls[0] = jvm.java.io.File(str(exported.jar)).toURI().toURL()
    compiler = jvm.org.codehaus.janino.SimpleCompiler()
    compiler.setParentClassLoader(jvm.java.net.URLClassLoader(urls, jvm.java.lang.ClassLoader.getPlatformClassLoader()))
    compiler.cook(MAIN)
    (tmp_path / "Main.class").write_bytes(bytes(dict(compiler.getBytecodes())["Main"]))
    rows = ROWS.select([feature.name for feature in package.features]).to_pylist()
    lines = "\n".join("\t".join("" if value is None else str(value) for value in row.values()) for row in rows)
    found = {}
    for options in ((), ("--add-modules", "jdk.incubator.vector")):
        log = tmp_path / "classes.txt"
        words = [JAVA, *options, f"-Xlog:class+load:file={log}", "-cp", f"{exported.jar}:{tmp_path}", "Main"]
        done = subprocess.run(words, input=lines, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        found["jdk.incubator.vector.LongVector " in log.read_text()] = [int(line) for line in done.stdout.split()]
    library = load_package(package).predict(to_pandas(ROWS))["score"]
    assert found[True] == found[False]
    assert np.allclose(np.array(found[True]).view(np.float64), library, rtol=1e-15)


def test_spark_sql_and_hive_functions(package: Package, exported: Exported, tmp_path: Path) -> None:
    values = ", ".join(
        f"(cast({_sql(row['distance'])} as double), {_sql(row['seats'])}L, {_sql(row['carrier'])})"
        for row in ROWS.to_pylist()
        if None not in (row["distance"], row["seats"])
    )
    query = (
        f"CREATE TEMPORARY FUNCTION hive_score AS 'spark_scoring.exported.HiveScore' USING JAR '{exported.jar}'; "
        "SELECT trips.score(distance, seats, carrier), hive_score(distance, seats, carrier), "
        f"trips.LABEL(distance, seats, carrier) FROM VALUES {values} AS rows(distance, seats, carrier)"
    )
    home = Path(pyspark.__file__).parent
    words = [
        str(home / "bin" / "spark-sql"), "--master", "local[1]", "--jars", str(exported.jar),
        "--conf", "spark.sql.catalog.trips=spark_scoring.exported.SparkFunctions", "--conf", "spark.ui.enabled=false",
        "--conf", "spark.hadoop.javax.jdo.option.ConnectionURL=jdbc:derby:memory:m;create=true", "-e", query,
    ]  # fmt: skip
    environment = os.environ | {"PYSPARK_PYTHON": sys.executable, "SPARK_HOME": str(home)}
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    lines = [line.split("\t") for line in done.stdout.splitlines() if line.count("\t") == 2]
    kept = to_pandas(ROWS).dropna(subset=["distance", "seats"])
    library = load_package(package).predict(kept)
    assert done.returncode == 0, done.stderr[-2000:]
    assert bits(float(one[0]) for one in lines) == bits(float(one[1]) for one in lines)
    assert np.allclose([float(one[0]) for one in lines], library["score"], rtol=1e-15)
    assert [one[2] for one in lines] == library["label"].tolist()


def _sql(value: Any) -> str:
    return "NULL" if value is None else f"'{value}'" if isinstance(value, str) else repr(value)


def test_the_readme_names_the_columns(exported: Exported) -> None:
    text = exported.readme.read_text("utf-8")
    assert "- `distance` double" in text and f"--jars {exported.jar.name}" in text


@pytest.mark.parametrize(("name", "function"), [("3d", "model_3d"), ("sp\u00e4te-Z\u00fcge", "sp_te_z_ge")])
def test_the_readme_gives_names_that_sql_takes(
    spark: SparkSession, package: Package, tmp_path: Path, name: str, function: str
) -> None:
    text = export(spark, replace(package, name=name), tmp_path).readme.read_text("utf-8")
    assert f"SELECT {function}.score(distance, seats, carrier), {function}.label(" in text


def test_a_catalog_has_two_functions_and_refuses_others(spark: SparkSession, exported: Exported) -> None:
    jvm: Any = spark._jvm
    urls = spark.sparkContext._gateway.new_array(jvm.java.net.URL, 1)  # type: ignore[union-attr]
    urls[0] = jvm.java.io.File(str(exported.jar)).toURI().toURL()
    loader = jvm.java.net.URLClassLoader(urls, jvm.java.lang.Thread.currentThread().getContextClassLoader())
    catalog = loader.loadClass("spark_scoring.exported.SparkFunctions").newInstance()
    nowhere = spark.sparkContext._gateway.new_array(jvm.String, 0)  # type: ignore[union-attr]
    identifier = jvm.org.apache.spark.sql.connector.catalog.Identifier
    found = [catalog.loadFunction(identifier.of(nowhere, name)).name() for name in ("SCORE", "Label")]
    assert found == ["score", "label"]
    with pytest.raises(UnsupportedOperationException, match="no function scoer: there are score and label"):
        catalog.loadFunction(identifier.of(nowhere, "scoer"))


def test_what_is_not_compiled_is_not_exported(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = packaged(fitted(LinearRegression(), SAMPLE, classes=0), tmp_path, sample=SAMPLE)
    monkeypatch.setattr(
        "spark_scoring.models.compiled.export.chosen", lambda *_: choose.Choice(compiled=None, why="no")
    )
    with pytest.raises(RunError, match="cannot be exported: no"):
        export(spark, package, tmp_path / "jar")
