"""The cells of scoring: which models over which rows, which ways, which aims."""

from cells import OURS, Aim, Cell, Entry
from scoring_runs import LIGHT
from scoring_work import Rows, Scoring

ARROW_OURS, SCAN = "spark_scoring, Arrow", "bare scan"
UDF, ITERATOR, PLAIN = "mlflow spark_udf", "pandas_udf, iterator", "pandas_udf"
BATCH, ARROW, MAP = "predict_batch_udf", "arrow_udf + numpy", "mapInArrow + numpy"
EXPERT = (ITERATOR, BATCH, ARROW, MAP)
BEST = (ARROW, MAP)
ROWS = 1_000_000
# what an expert's way may cost less
MARGIN = 1.05


def scoring_cells(scale: float) -> tuple[Cell, ...]:
    """All cells; `scale` shrinks the rows."""
    count = max(1_000, int(ROWS * scale))
    thirty, fifty, fifth = Rows(count=count), Rows(count=count, doubles=50), Rows(count=count // 5)
    mixed = Rows(count=count, texts=20, nulls=True)
    trees = "300 trees of 31 leaves,"
    return (
        _trees("lightgbm_30", f"LightGBM, {trees} 30 doubles", Scoring(rows=thirty, kind="lightgbm"), peers=EXPERT),
        _trees("lightgbm_50", f"LightGBM, {trees} 50 doubles", Scoring(rows=fifty, kind="lightgbm"), peers=BEST),
        _trees("xgboost_30", f"XGBoost, {trees} 30 doubles", Scoring(rows=thirty, kind="xgboost"), peers=BEST),
        _linear("logistic", "Logistic regression, 30 doubles", Scoring(rows=thirty, kind="logistic"), scans=1.2),
        _linear(
            "mixed",
            "One-hot, scaler and logistic regression, 30 doubles and 20 texts, 10 % nulls",
            Scoring(rows=mixed, kind="mixed"),
            scans=1.5,
        ),
        _trees("hist", "HistGradientBoosting, 100 trees, 30 doubles", Scoring(rows=thirty, kind="hist"), peers=BEST),
        _forest(Scoring(rows=fifth, kind="forest")),
        _large(Scoring(rows=fifth, kind="lightgbm", trees=1000, leaves=255)),
        _ten("ten_logistic", "Ten logistic regressions", Scoring(rows=thirty, kind="logistic", models=10)),
        _ten("ten_lightgbm", "Ten LightGBMs of 30 trees", Scoring(rows=thirty, kind="lightgbm", trees=30, models=10)),
        _passing(count),
    )


def _entries(work: Scoring, *peers: str) -> tuple[Entry, ...]:
    return tuple(Entry(peer=peer, work=work, same_answer=peer != SCAN) for peer in (OURS, ARROW_OURS, *peers))


def _arrow_aims(*, less: float, peers: tuple[str, ...]) -> tuple[Aim, ...]:
    best = "Arrow: at most 1.05 times the CPU of the best Python way"
    return (
        Aim(text=best, of=ARROW_OURS, against=peers, at_least=1 / MARGIN),
        Aim(text=f"Arrow: at least {less} times less CPU than spark_udf", of=ARROW_OURS, against=(UDF,), at_least=less),
    )


def _trees(name: str, title: str, work: Scoring, *, peers: tuple[str, ...]) -> Cell:
    aims = (
        *_arrow_aims(less=1.2, peers=peers),
        Aim(text="compiled: at most 0.6 times the CPU of the library alone", against=(LIGHT,), at_least=1 / 0.6),
        Aim(text="compiled: 2.5 times faster than an Arrow UDF", against=(ARROW,), at_least=2.5, field="wall_s"),
        Aim(text="compiled: 3 times faster than spark_udf", against=(UDF,), at_least=3.0, field="wall_s"),
    )
    return Cell(name=name, title=f"{title}: 1M rows", entries=_entries(work, UDF, *peers, LIGHT, SCAN), aims=aims)


def _linear(name: str, title: str, work: Scoring, *, scans: float) -> Cell:
    peers = EXPERT if name == "logistic" else BEST
    aims = (
        *_arrow_aims(less=1.7, peers=peers),
        Aim(text=f"compiled: at most {scans} times the CPU of a bare scan", against=(SCAN,), at_least=1 / scans),
    )
    return Cell(name=name, title=f"{title}: 1M rows", entries=_entries(work, UDF, *peers, LIGHT, SCAN), aims=aims)


def _forest(work: Scoring) -> Cell:
    aim = Aim(text="compiled: 3 times faster than scikit-learn in a UDF", against=(ARROW,), at_least=3, field="wall_s")
    title = "Random forest, 300 trees of depth 12, 30 doubles: 200k rows"
    return Cell(name="forest", title=title, entries=_entries(work, ARROW, LIGHT, SCAN), aims=(aim,))


def _large(work: Scoring) -> Cell:
    aim = Aim(text="compiled: faster than an Arrow UDF", against=(ARROW,), at_least=1, field="wall_s")
    title = "LightGBM, 1,000 trees of 255 leaves, 30 doubles: 200k rows"
    return Cell(name="large", title=title, entries=_entries(work, ARROW, LIGHT, SCAN), aims=(aim,))


def _ten(name: str, title: str, work: Scoring) -> Cell:
    one = Scoring(**{**vars(work), "models": 1})
    alone = "one model, Arrow"
    entries = (
        *_entries(work, PLAIN, ARROW, MAP, LIGHT),
        Entry(peer=OURS, work=one, name="one model"),
        Entry(peer=ARROW_OURS, work=one, name=alone),
    )
    ten, best = "Arrow: ten models at most 1.3 times one", "Arrow: at most 1.05 times the CPU of an expert's way"
    aims = (
        Aim(text=ten, of=ARROW_OURS, against=(alone,), at_least=1 / 1.3),
        Aim(text="Arrow: no more CPU than ten pandas UDFs", of=ARROW_OURS, against=(PLAIN,), at_least=1.0),
        Aim(text=best, of=ARROW_OURS, against=(ARROW, MAP), at_least=1 / MARGIN),
    )
    return Cell(name=name, title=f"{title}, 30 doubles: 1M rows", entries=entries, aims=aims)


def _passing(count: int) -> Cell:
    with_others = Scoring(rows=Rows(count=count, others=50), kind="lightgbm")
    without, alone = Scoring(rows=Rows(count=count), kind="lightgbm"), "Arrow, without the 50 columns"
    entries = (*_entries(with_others, ARROW, MAP), Entry(peer=ARROW_OURS, work=without, name=alone))
    adds, best = "Arrow: 50 columns that pass through add at most 20 %", "Arrow: at most 1.05 times an expert's CPU"
    aims = (
        Aim(text=adds, of=ARROW_OURS, against=(alone,), at_least=1 / 1.2),
        Aim(text=best, of=ARROW_OURS, against=(ARROW, MAP), at_least=1 / MARGIN),
    )
    title = "50 doubles pass through beside LightGBM of 300 trees over 30: 1M rows"
    return Cell(name="passing", title=title, entries=entries, aims=aims)
