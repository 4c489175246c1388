"""Scores beside the rows: compiled models as functions of the JVM, all others in one Arrow UDF."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from weakref import WeakKeyDictionary

from pyspark import Broadcast, SparkContext
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.functions import arrow_udf

from spark_scoring.errors import feature_missing, feature_type, name_taken
from spark_scoring.jvm.functions import is_remote, no_huge_methods, ready
from spark_scoring.models import remote
from spark_scoring.models.compiled.column import Placed, answered, compiled_entries
from spark_scoring.models.compiled.compile import Compiled
from spark_scoring.models.contract import Feature
from spark_scoring.models.guard import guard_of
from spark_scoring.models.package import Package, archive_of
from spark_scoring.models.sent import Sent
from spark_scoring.models.workers import Shipped, answer_type, scorer

SCORES = "scores"
SCORES_TYPE = (
    "array<struct<role: string, model: string, model_version: string, score: double, "
    "label: string, reason: string, detail: string>>"
)
_ARROW, _COMPILED = "__arrow_scores", "__compiled_scores"
KEPT_BROADCASTS = 16


@dataclass(frozen=True, kw_only=True)
class ScoredModel:
    """A package and the role it has in the job: champion, challenger or shadow.

    `columns`: where its features stand in the frame, by their names in lower case, if not under their own.
    `compiled`: its form for the JVM, if it is to be scored there; `why` says why it is, or is not.
    `share`: the challenger's, of the traffic.
    """

    role: str
    package: Package
    compiled: Compiled | None = None
    why: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    share: float | None = None

    def column(self, feature: Feature) -> str:
        """The frame's column that holds a feature, in lower case."""
        return self.columns.get(feature.name.lower(), feature.name).lower()

    @property
    def runtime(self) -> str:
        return "compiled" if self.compiled else "arrow"


@dataclass(kw_only=True)
class _Broadcasts:
    """Model files sent out by one Spark application: once per digest, not once per micro-batch."""

    sent: "OrderedDict[str, Broadcast[bytes]]" = field(default_factory=OrderedDict)

    def get(self, package: Package, context: SparkContext) -> "Broadcast[bytes]":
        if package.digest not in self.sent:
            self.sent[package.digest] = context.broadcast(archive_of(package))
        self.sent.move_to_end(package.digest)
        while len(self.sent) > KEPT_BROADCASTS:
            self.sent.popitem(last=False)[1].unpersist()
        return self.sent[package.digest]


_SENT: "WeakKeyDictionary[SparkContext, _Broadcasts]" = WeakKeyDictionary()


def score_rows(frame: DataFrame, models: Sequence[ScoredModel], *, where: Column | None = None) -> DataFrame:
    """The frame, batch or streaming, with `scores`: one entry per model, in the order given.

    Rows for which `where` is not true are not scored: their entries are null. An entry without a score has a
    `reason`, `FEATURE`, `MODEL`, `MODEL_CRASH` or `NOT_FINITE`, and `detail` names the exception's class or how the
    process ended. No job is run.

    Raises: ConfigError if a feature is missing, has another type, or `scores` exists already.
    """
    _check(frame, models)
    session = frame.sparkSession
    wanted = F.lit(True) if where is None else F.coalesce(where, F.lit(False))
    arrow = [model for model in models if model.compiled is None]
    placed = [
        Placed(form=one.compiled, role=one.role, package=one.package, columns=one.columns)
        for one in models
        if one.compiled
    ]
    no_huge_methods(session)
    if placed or not is_remote(session):
        ready(session)
    if not arrow:
        return frame.withColumn(SCORES, compiled_entries(placed, wanted))
    told = frame.withColumn(_ARROW, _arrow(frame, arrow, wanted))
    made = remote.answered if is_remote(session) else answered
    scored = told.withColumn(SCORES, made(F.col(_ARROW), [(one.role, one.package) for one in arrow])).drop(_ARROW)
    if not placed:
        return scored
    both, ours, theirs = scored.withColumn(_COMPILED, compiled_entries(placed, wanted)), count(), count()
    entries = [F.col(_COMPILED)[next(ours)] if one.compiled else F.col(SCORES)[next(theirs)] for one in models]
    return both.withColumn(SCORES, F.array(*entries)).drop(_COMPILED)


def _arrow(frame: DataFrame, models: Sequence[ScoredModel], wanted: Column) -> Column:
    """The answers of these models, made by one function in Python workers."""
    shipped = tuple(
        Shipped(
            role=model.role,
            name=model.package.name,
            version=model.package.version,
            digest=model.package.digest,
            spec=model.package.spec,
            archive=_archive(model.package, frame.sparkSession),
            columns=tuple(map(model.column, model.package.features)),
        )
        for model in models
    )
    names = tuple(dict.fromkeys(name for model in shipped for name in model.columns))
    sent = Sent.of(names, types=_types(frame))
    function = scorer(sent, models=shipped, guard=guard_of(frame.sparkSession))
    # without this, Spark copies the call into every filter that reads a score, and the model runs again
    score = arrow_udf(function, returnType=answer_type(len(shipped))).asNondeterministic()  # type: ignore[call-overload]  # its stub knows no *columns
    found: Column = score(wanted, *map(F.expr, sent.expressions()))
    return found


def _archive(package: Package, spark: SparkSession) -> "Broadcast[bytes] | remote.Carried":
    if is_remote(spark):
        return remote.Carried(value=archive_of(package))
    return _SENT.setdefault(spark.sparkContext, _Broadcasts()).get(package, spark.sparkContext)


def _types(frame: DataFrame) -> dict[str, str]:
    return {column.name.lower(): column.dataType.simpleString() for column in frame.schema}


def _check(frame: DataFrame, models: Sequence[ScoredModel]) -> None:
    types = _types(frame)
    if SCORES in types:
        raise name_taken("score_rows", given=SCORES, taken_by="a column of the frame")
    for model in models:
        package = model.package
        for feature in package.features:
            given = types.get(model.column(feature))
            if given is None:
                raise feature_missing(package.uri, name=feature.name, known=frame.columns)
            if given != feature.type:
                raise feature_type(package.uri, name=feature.name, given=given, expected=feature.type)
