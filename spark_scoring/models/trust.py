"""Who vouches for code in a package: the registry that recorded its digest, or the job by name."""

from collections.abc import Sequence

from spark_scoring.errors import untrusted_code
from spark_scoring.models.contract import FORMATS, ModelSpec
from spark_scoring.models.package import Package

# of a digest: fewer digits can be met by another package that was made for it
SHORTEST_DIGEST = 32


def code_in(spec: ModelSpec) -> tuple[str, ...]:
    """What of a package runs code of its maker when it is loaded."""
    model = FORMATS[spec.runtime][spec.serialization]
    return (*([model] if model else []), *(["feature code"] if spec.prepare else []))


def check_trusted(package: Package, *, asked: str, vouched: bool, trust: Sequence[str]) -> None:
    """Nothing, if the package holds no code, the registry recorded its digest, or `trust` names it.

    `trust` holds model URIs, as asked for or pinned, and digests, whole or their first 32 digits and more.

    Raises: ConfigError.
    """
    named = {asked, package.uri} & set(trust)
    by_digest = any(len(one) >= SHORTEST_DIGEST and package.digest.startswith(one) for one in trust)
    if (code := code_in(package.spec)) and not (vouched or named or by_digest):
        raise untrusted_code(asked, what=code, digest=package.digest)
