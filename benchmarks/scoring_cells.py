"""The cells of scoring: which models over which rows, which ways, which aims."""

from cells import OURS, Aim, Cell, Entry
from scoring_runs import LIGHT
from scoring_work import Rows, Scoring

UDF, ITERATOR, PLAIN = "mlflow spark_udf", "pandas_udf, iterator", "pandas_udf"
BATCH, ARROW, MAP = "predict_batch_udf", "arrow_udf + numpy", "mapInArrow + numpy"
EXPERT = (ITERATOR, BATCH, ARROW, MAP)
ROWS = 1_000_000
# what an expert's way may cost less
MARGIN = 1.05


def scoring_cells(scale: float) -> tuple[Cell, ...]:
    """All cells; `scale` shrinks the rows."""
    count = max(1_000, int(ROWS * scale))
    thirty, fifty = Rows(count=count), Rows(count=count, doubles=50)
    mixed = Rows(count=count, texts=20, nulls=True)
    trees = "LightGBM, 300 trees of 31 leaves,"
    return (
        _one("lightgbm_30", f"{trees} 30 doubles", Scoring(rows=thirty, kind="lightgbm"), less=1.2),
        _one("lightgbm_50", f"{trees} 50 doubles", Scoring(rows=fifty, kind="lightgbm"), less=1.2),
        _one("logistic", "Logistic regression, 30 doubles", Scoring(rows=thirty, kind="logistic"), less=1.7),
        _one(
            "mixed",
            "One-hot, scaler and logistic regression, 30 doubles and 20 texts, 10 % nulls",
            Scoring(rows=mixed, kind="mixed"),
            less=1.7,
        ),
        _one("hist", "HistGradientBoosting, 100 trees, 30 doubles", Scoring(rows=thirty, kind="hist"), less=1.2),
        _ten("ten_logistic", "Ten logistic regressions", Scoring(rows=thirty, kind="logistic", models=10)),
        _ten("ten_lightgbm", "Ten LightGBMs of 30 trees", Scoring(rows=thirty, kind="lightgbm", trees=30, models=10)),
        _passing(count),
    )


def _one(name: str, title: str, work: Scoring, *, less: float) -> Cell:
    entries = tuple(Entry(peer=peer, work=work) for peer in (OURS, UDF, *EXPERT, LIGHT))
    aims = (
        Aim(text="at most 1.05 times the CPU of the best Python way", against=EXPERT, at_least=1 / MARGIN),
        Aim(text=f"at least {less} times less CPU than spark_udf", against=(UDF,), at_least=less),
    )
    return Cell(name=name, title=f"{title}: 1M rows", entries=entries, aims=aims)


def _ten(name: str, title: str, work: Scoring) -> Cell:
    one = Scoring(**{**vars(work), "models": 1})
    entries = (
        *(Entry(peer=peer, work=work) for peer in (OURS, PLAIN, ARROW, MAP, LIGHT)),
        Entry(peer=OURS, work=one, name="one model"),
        Entry(peer=LIGHT, work=one, name="one model, one process, native"),
    )
    aims = (
        Aim(text="ten models at most 1.3 times one", against=("one model",), at_least=1 / 1.3),
        Aim(text="no more CPU than ten pandas UDFs", against=(PLAIN,), at_least=1.0),
        Aim(text="at most 1.05 times the CPU of an expert's way", against=(ARROW, MAP), at_least=1 / MARGIN),
    )
    return Cell(name=name, title=f"{title}, 30 doubles: 1M rows", entries=entries, aims=aims)


def _passing(count: int) -> Cell:
    with_others = Scoring(rows=Rows(count=count, others=50), kind="lightgbm")
    without = Scoring(rows=Rows(count=count), kind="lightgbm")
    entries = (
        *(Entry(peer=peer, work=with_others) for peer in (OURS, ARROW, MAP)),
        Entry(peer=OURS, work=without, name="without the 50 columns"),
    )
    aims = (
        Aim(
            text="50 columns that pass through add at most 20 %", against=("without the 50 columns",), at_least=1 / 1.2
        ),
        Aim(text="at most 1.05 times the CPU of an expert's way", against=(ARROW, MAP), at_least=1 / MARGIN),
    )
    title = "50 doubles pass through beside LightGBM of 300 trees over 30: 1M rows"
    return Cell(name="passing", title=title, entries=entries, aims=aims)
