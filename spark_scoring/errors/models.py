"""Models, packages and samples."""

from collections.abc import Iterable

from spark_scoring.errors.base import ConfigError, RunError, did_you_mean, listed


def unsupported_model(kind: str, *, why: str, do: str) -> ConfigError:
    return ConfigError(f"model {kind}: {why}. {do}, then package it again.")


def not_a_package(uri: str, *, missing: Iterable[str]) -> ConfigError:
    return ConfigError(
        f"{uri}: not a spark_scoring package: it lacks {listed(missing)}. "
        "Make one with 'spark-scoring package' "
        "or spark_scoring.package(model, wide=…, sample=…, name=…, registry=…)."
    )


def feature_missing(uri: str, *, name: str, known: Iterable[str]) -> ConfigError:
    names = tuple(known)
    return ConfigError(
        f"{uri}: the model reads column '{name}', and the frame has none.{did_you_mean(name, names)} "
        f"There are: {listed(names)}. Score a frame that its wide table made."
    )


def feature_type(uri: str, *, name: str, given: str, expected: str) -> ConfigError:
    return ConfigError(
        f"{uri}: column '{name}' is {given}, the model learned it as {expected}. "
        "Package the model again with a sample of today's wide table, or restore the type."
    )


def nested_feature(name: str, *, given: str, where: str = "sample") -> ConfigError:
    return ConfigError(
        f"{where}: column '{name}' is {given}. A feature is a number, text, boolean, date or instant. "
        "Take it apart with a step 'columns'."
    )


def inputs_not_in_wide(wide: str, *, missing: Iterable[str], known: Iterable[str]) -> ConfigError:
    lost, names = tuple(missing), tuple(known)
    return ConfigError(
        f"wide table {wide}: the model reads columns that are not in it: {listed(lost)}."
        f"{did_you_mean(lost[0], names)} There are: {listed(names, most=40)}. "
        "Fit the model on columns of the wide table, or add a step."
    )


def sample_lacks(missing: Iterable[str], *, known: Iterable[str]) -> ConfigError:
    return ConfigError(
        f"sample: lacks columns that the model reads: {listed(missing)}. There are: {listed(known)}. "
        "Give rows of the wide table, as 'spark-scoring widen' makes them."
    )


def no_sample(path: str) -> ConfigError:
    return ConfigError(f"--sample {path}: no Delta table there. Give the folder that 'spark-scoring widen' wrote.")


def sample_too_small(rows: int, *, least: int) -> ConfigError:
    return ConfigError(f"sample: {rows} rows. At least {least} are needed. Give more rows of the wide table.")


def sample_type(name: str, *, expected: str) -> ConfigError:
    return ConfigError(
        f"sample: column '{name}' does not hold {expected}, as the wide table or its first rows say. "
        "Give the sample as 'spark-scoring widen' makes it, in Arrow."
    )


def sample_not_scored(rows: int, *, failed: int, detail: str) -> ConfigError:
    return ConfigError(
        f"sample: {failed} of {rows} rows got no score: {detail}. Give a sample of which at least half can be scored."
    )


def golden_differs(uri: str, *, rows: int, scores: int, labels: int, greatest: str) -> RunError:
    return RunError(
        f"{uri}: of {rows} golden rows {scores} got another score (greatest difference {greatest}) "
        f"and {labels} another label than when the model was packaged. "
        "Install the package's library versions, or package it again."
    )


def definitions_differ(where: str, *, given: object, of: str, known: object, before: str) -> RunError:
    return RunError(
        f"wide table {of}: {where} is {given}, in the wide table {before} of the same job it is {known}. "
        "All models of a job share key, time and time_range of the rows and the types of columns: "
        "package one of them with the other's, or run them as two jobs."
    )


def unknown_format(source: str, *, allowed: Iterable[str]) -> ConfigError:
    return ConfigError(
        f"--model {source}: unknown format. Allowed: files ending in {listed(allowed)}, or models:/… or runs:/…."
    )


def missing_file(path: str) -> ConfigError:
    return ConfigError(f"{path}: no such file. Look at the path; it is taken from the current directory.")


def unreadable_model(source: str, *, reason: str) -> RunError:
    return RunError(f"--model {source}: cannot be read: {reason}. Save it again in this environment with joblib.dump.")


def unreadable_package(uri: str, *, reason: str) -> RunError:
    return RunError(f"{uri}: the model in it cannot be loaded: {reason}. Package the model again in this environment.")


def unreadable_file_of(path: str, *, what: str, reason: str) -> ConfigError:
    return ConfigError(
        f"{path}: it cannot be read as {what}: {reason}. Save the model again with its own library, and look at the "
        "file's ending: the format is told by it."
    )


def library_missing(runtime: str, *, library: str) -> ConfigError:
    return ConfigError(
        f"a {runtime} model needs {library}, and it is not installed here. "
        f"Install it where the model is packaged and on every worker: pip install 'spark-scoring[{runtime}]'."
    )


def unnamed_inputs(kind: str) -> ConfigError:
    return ConfigError(
        f"{kind}: it does not name the columns that it reads. "
        "Name them in the model's order with --features a,b,c, in Python with features=[…]."
    )


def feature_unfit(runtime: str, *, name: str, given: str, wanted: str) -> ConfigError:
    return ConfigError(
        f"column '{name}' is {given}, and the {runtime} model wants {wanted}. "
        "Turn it into that with a step 'columns', or with --prepare."
    )


def model_contract(file: str, *, reads: Iterable[str], contract: Iterable[str]) -> RunError:
    return RunError(
        f"{file}: the model reads {listed(reads)}, and its package says {listed(contract)}. Package the model again."
    )


def spoiled_categories(name: str) -> ConfigError:
    return ConfigError(
        f"column '{name}': XGBoost keeps names of categories outside ASCII cut short, so they cannot be read from the "
        f"model. Give the sample as a DataFrame in which '{name}' has the categorical dtype of the training."
    )


def ambiguous_output(kind: str, *, given: str, known: Iterable[str]) -> ConfigError:
    names = tuple(known)
    said = (
        f"has no output '{given}'.{did_you_mean(given, names)}" if given else "does not say which output is the score."
    )
    return ConfigError(
        f"{kind}: it {said} There are: {listed(names)}. "
        "Name one with --score-output, in Python with score_output=…; a probability of a class is one."
    )


def unsafe_pmml(file: str) -> RunError:
    return RunError(
        f"{file}: it declares a document type, which can name other files to read. Remove the line '<!DOCTYPE …>'."
    )


def comes_later(source: str, *, library: str) -> ConfigError:
    return ConfigError(
        f"{source}: there is no runtime for {library} yet. "
        "Until there is one, export the model to ONNX, or wrap it in an MLflow PythonModel."
    )


def no_prepare(given: str) -> ConfigError:
    return ConfigError(
        f"--prepare {given}: names no function. Give file.py:function, as in features.py:prepare; "
        "it takes a DataFrame and returns one."
    )


def prepare_unreadable(file: str, *, function: str, reason: str) -> ConfigError:
    return ConfigError(
        f"{file}: the function '{function}' cannot be loaded: {reason}. "
        "The file must run on its own, with libraries that every worker has."
    )


def prepare_fails(rows: int, *, reason: str) -> ConfigError:
    return ConfigError(
        f"--prepare: it fails on {rows} rows of the sample: {reason}. "
        "It must work for any rows of the wide table, one row alone included."
    )


def prepare_lacks(missing: Iterable[str], *, known: Iterable[str]) -> ConfigError:
    lost, names = tuple(missing), tuple(known)
    return ConfigError(
        f"--prepare: its result lacks columns that the model reads: {listed(lost)}.{did_you_mean(lost[0], names)} "
        f"Of those it has: {listed(names)}. Let it return them."
    )


def not_row_local(column: str, *, law: str) -> ConfigError:
    return ConfigError(
        f"--prepare: column '{column}' of the same rows is another when they are {law}. "
        "A feature must depend on its own row alone: what is learned from other rows belongs into the model or the "
        "wide table."
    )


def scores_not_row_local(*, rows: int, differ: int) -> ConfigError:
    return ConfigError(
        f"the model gives {differ:,} of {rows:,} rows of the sample another score when other rows stand beside them. "
        "A score must depend on its own row alone, or batch and stream would differ: replace the part of the model "
        "that looks at several rows at once (an IterativeImputer does)."
    )


def not_loaded(uri: str, *, reason: str) -> RunError:
    return RunError(f"{uri}: the workers cannot load the model: {reason}. Look at what is installed on the workers.")


def not_compiled(uri: str, *, reason: str) -> RunError:
    return RunError(
        f"{uri}: the job says runtime: compiled, and the model is not scored in the JVM: {reason}. "
        "Leave `runtime` out, and it is scored in Python workers."
    )


def not_exported(uri: str, *, reason: str) -> RunError:
    return RunError(
        f"{uri}: it cannot be exported: {reason}. "
        "Only models that are scored in the JVM can be; `check` says which are."
    )
