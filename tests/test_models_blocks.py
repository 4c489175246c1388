"""Scores are functions of the row: not of the cut, not of a neighbour that makes the model raise."""

import itertools

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from models_data import bits
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPRegressor

from spark_scoring.models.blocks import BLOCK, Scored, score_blocks
from spark_scoring.models.contract import Outputs, Predict, labelled, unlabelled

FEATURES = 24


def linear(seed: int = 0) -> Predict:
    """A matrix product, whose last bits depend on its shape; raises on 'bad' and gives infinity for 'big'."""
    weights = np.random.default_rng(seed).normal(size=FEATURES)

    def predict(batch: pa.RecordBatch) -> Outputs:
        if "bad" in batch["what"].to_pylist():
            raise KeyError("a message with a value")
        numbers = np.stack([batch[f"x{i}"].to_numpy() for i in range(FEATURES)], axis=1)
        score = np.where(np.array(batch["what"].to_pylist()) == "big", np.inf, numbers @ weights)
        return labelled(score, ["a label"] * len(score))

    return predict


def rows(count: int, *, what: dict[int, str] | None = None) -> pa.RecordBatch:
    random = np.random.default_rng(1)
    kinds = [(what or {}).get(i, "good") for i in range(count)]
    numbers = random.normal(size=(count, FEATURES))
    return pa.record_batch({"what": kinds, **{f"x{i}": numbers[:, i] for i in range(FEATURES)}})


def cut_scores(batch: pa.RecordBatch, cuts: list[int], predict: Predict) -> list[bytes]:
    edges = sorted({0, *(cut % (batch.num_rows + 1) for cut in cuts), batch.num_rows})
    parts = [score_blocks(batch.slice(a, b - a), predict=predict, framed=()) for a, b in itertools.pairwise(edges)]
    return bits(np.concatenate([part.score for part in parts])) if parts else []


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 3000), max_size=6))
def test_any_cut_gives_the_same_bits(cuts: list[int]) -> None:
    batch = rows(2500)
    assert cut_scores(batch, cuts, linear()) == bits(score_blocks(batch, predict=linear(), framed=()).score)


@pytest.mark.parametrize("kind", ["logistic", "network"])
def test_without_blocks_the_bits_would_differ(kind: str) -> None:
    numbers = np.random.default_rng(0).normal(size=(2000, FEATURES))
    if kind == "logistic":
        model = LogisticRegression(max_iter=1000).fit(numbers, numbers.sum(axis=1) > 0)
        ask = model.decision_function
    else:
        ask = MLPRegressor(max_iter=2000, tol=1e-2, random_state=0).fit(numbers, numbers[:, 0]).predict
    one_by_one = np.concatenate([ask(numbers[i : i + 1]) for i in range(500)])
    assert bits(ask(numbers)[:500]) != bits(one_by_one)


@settings(max_examples=25, deadline=None)
@given(st.dictionaries(st.integers(0, 1499), st.sampled_from(["bad", "big"]), max_size=8))
def test_a_bad_row_is_found_and_touches_no_other(what: dict[int, str]) -> None:
    clean = score_blocks(rows(1500), predict=linear(), framed=())
    found = score_blocks(rows(1500, what=what), predict=linear(), framed=())
    good = [i for i in range(1500) if i not in what]
    assert bits(found.score[good]) == bits(clean.score[good])
    assert {i: found.reason[i] for i in range(1500) if found.reason[i]} == {
        i: "MODEL" if kind == "bad" else "NOT_FINITE" for i, kind in what.items()
    }


def test_a_failure_names_the_kind_of_error_and_no_value() -> None:
    found = score_blocks(rows(3, what={1: "bad", 2: "big"}), predict=linear(), framed=())
    assert list(zip(found.label, found.reason, found.detail, strict=True)) == [
        ("a label", None, None),
        (None, "MODEL", "KeyError"),
        (None, "NOT_FINITE", None),
    ]


def test_the_model_sees_full_blocks_only() -> None:
    seen = []

    def predict(batch: pa.RecordBatch) -> Outputs:
        seen.append(batch.num_rows)
        return linear()(batch)

    score_blocks(rows(1500, what={7: "bad"}), predict=predict, framed=())
    assert set(seen) == {BLOCK}


@pytest.mark.parametrize("score", [np.zeros(1), np.zeros((BLOCK, 2))])
def test_outputs_of_another_shape_are_no_scores(score: np.ndarray) -> None:
    found = score_blocks(rows(2), predict=lambda batch: unlabelled(score), framed=())
    assert list(found.reason) == ["MODEL", "MODEL"]


@pytest.mark.parametrize("label", [[2, 0], [-2, 0]])
def test_labels_without_a_name_are_no_labels(label: list[int]) -> None:
    labels = np.array(label * (BLOCK // 2))
    found = score_blocks(
        rows(2), predict=lambda _: Outputs(score=np.zeros(BLOCK), label=labels, names=("a", "b")), framed=()
    )
    assert list(found.reason) == ["MODEL", "MODEL"]


def test_blocks_with_other_labels_are_told_apart() -> None:
    names = itertools.cycle([["a", "b"], ["b", "c"], [None, "a"]])

    def predict(batch: pa.RecordBatch) -> Outputs:
        return labelled(np.zeros(batch.num_rows), next(names) * (batch.num_rows // 2))

    found = score_blocks(rows(2 * BLOCK + 2), predict=predict, framed=())
    assert found.label[[0, 1, BLOCK, BLOCK + 1, -2, -1]].tolist() == ["a", "b", "b", "c", None, "a"]
    assert found.names == ["a", "b", "c"]


def test_no_rows_no_scores() -> None:
    assert len(score_blocks(rows(0), predict=linear(), framed=()).score) == len(Scored.empty(0).score) == 0
