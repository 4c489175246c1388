"""The MLmodel file of a package: MLflow's own loaders find the model by it, and ours its digest."""

from pathlib import Path
from typing import Any

from spark_scoring.models.contract import FORMAT, Feature, ModelSpec, Saved
from spark_scoring.models.libraries import requirements_of
from spark_scoring.models.package import FLAVOR, MLMODEL, SPEC, WIDE, digest_of


def begin(folder: Path, *, spec: ModelSpec, mlflow_model: Any) -> Any:
    """A new folder that MLflow reads by our loader, with its requirements; the Model to go on with."""
    import mlflow.pyfunc
    from mlflow.models import Model

    model = mlflow_model or Model()
    mlflow.pyfunc.save_model(
        str(folder), loader_module="spark_scoring.models.flavor", mlflow_model=model,
        signature=_signature(spec.features), pip_requirements=requirements_of(spec.libraries),
    )  # fmt: skip
    return model


def finish(folder: Path, *, spec: ModelSpec, saved: Saved, model: Any) -> None:
    """Write down the native flavor, if there is one that reads the file, and ours with the digest of all files."""
    if saved.flavor:
        name, conf = saved.flavor
        model.add_flavor(name, **conf)
    model.add_flavor(FLAVOR, format=FORMAT, spec=SPEC, wide=WIDE, runtime=spec.runtime, digest=digest_of(folder))
    model.save(str(folder / MLMODEL))


def _signature(features: tuple[Feature, ...]) -> Any:
    """Names only: MLflow would refuse a whole number beside a null, and cut timestamps and decimals down."""
    from mlflow.models import ModelSignature
    from mlflow.types.schema import AnyType, ColSpec, Schema

    inputs = Schema([ColSpec(AnyType(), feature.name) for feature in features])
    outputs = Schema([ColSpec("double", "score"), ColSpec("string", "label", required=False)])
    return ModelSignature(inputs=inputs, outputs=outputs)
