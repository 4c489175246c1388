"""Secrets stay where they are: a broker with passwords and certificates, and every place that a secret could get to."""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient
from kafka.admin import ACL, ACLOperation, ACLPermissionType, ResourcePattern, ResourceType
from pyspark.sql import SparkSession

from spark_scoring.errors import RunError
from spark_scoring.io.broker import topic_states
from spark_scoring.run import stream
from spark_scoring.testing import KafkaBroker
from spark_scoring.testing.broker import free_port
from tests.conftest import JARS
from tests.faults.arena import Arena, files_in, kill_group, make_arena

SECRET = "hush-7f3a9c41"
WRONG = "wrong-5b2d8e60"
MODULE = "org.apache.kafka.common.security.plain.PlainLoginModule required"


@dataclass(frozen=True)
class Guarded:
    """A broker with an address for those who have a password, and one for those who have a certificate."""

    broker: KafkaBroker
    sasl: str
    tls: str
    certificates: Path


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    folder = tmp_path_factory.mktemp("certificates")
    for name in ("broker", "client", "stranger"):
        keytool(folder, "-genkeypair", "-keyalg", "RSA", "-dname", f"CN={name}", "-ext", "SAN=ip:127.0.0.1", store=name)
        keytool(folder, "-exportcert", "-file", str(folder / f"{name}.cer"), store=name)
    for trusted in ("client", "broker", "stranger"):
        certificate = str(folder / f"{trusted}.cer")
        keytool(folder, "-importcert", "-noprompt", "-file", certificate, store=f"only_{trusted}")
    ours = {"PLAINTEXT": free_port(), "GUARDED": free_port(), "TLS": free_port()}
    addresses = ",".join(f"{name}://127.0.0.1:{port}" for name, port in ours.items() if name != "PLAINTEXT")
    stores = {**store("keystore", folder / "broker"), **store("truststore", folder / "only_client")}
    settings = {
        "listeners": f"PLAINTEXT://127.0.0.1:{{port}},{addresses},CONTROLLER://127.0.0.1:{{controller_port}}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{{port}},{addresses}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,GUARDED:SASL_PLAINTEXT,TLS:SSL,CONTROLLER:PLAINTEXT",
        "sasl.enabled.mechanisms": "PLAIN",
        "listener.name.guarded.plain.sasl.jaas.config": f'{MODULE} user_scorer="{SECRET}";',
        "listener.name.tls.ssl.client.auth": "required",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
        "allow.everyone.if.no.acl.found": "true",
        **{f"listener.name.tls.{name}": value for name, value in stores.items()},
    }
    settings |= {name: value.replace("${KAFKA_PASSWORD}", SECRET) for name, value in settings.items()}
    with KafkaBroker.start(jars=Path(JARS).parent / "kafka", settings=settings) as broker:
        sasl, tls = (f"127.0.0.1:{ours[name]}" for name in ("GUARDED", "TLS"))
        yield Guarded(broker, sasl=sasl, tls=tls, certificates=folder)


def keytool(folder: Path, *words: str, store: str) -> None:
    home = os.environ.get("JAVA_HOME")
    java = Path(home, "bin", "java") if home else Path(shutil.which("java") or "java").resolve()
    tool = [str(java.with_name("keytool")), *words, "-alias", "one", "-storetype", "PKCS12"]
    command = [*tool, "-keystore", str(folder / store)]
    subprocess.run([*command, "-storepass", SECRET], check=True, capture_output=True)


def store(kind: str, path: Path) -> dict[str, str]:
    """The options of a client, or a listener, for its keys or for whom it trusts."""
    return {
        f"ssl.{kind}.location": str(path),
        f"ssl.{kind}.type": "PKCS12",
        f"ssl.{kind}.password": "${KAFKA_PASSWORD}",
    }


@pytest.fixture
def arena(spark: SparkSession, tmp_path: Path, guarded: Guarded) -> Arena:
    return over_sasl(spark, tmp_path, guarded)


def over_sasl(spark: SparkSession, folder: Path, guarded: Guarded) -> Arena:
    """A stream whose user has a password."""
    options = {
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "PLAIN",
        "sasl.jaas.config": f'{MODULE} username="scorer" password="${{KAFKA_PASSWORD}}";',
    }
    return make_arena(spark, folder, guarded.broker, kafka={"servers": guarded.sasl, "options": options})


@pytest.mark.slow
def test_a_password_goes_through_and_nowhere_else(arena: Arena, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_PASSWORD", SECRET)
    arena.feed(3)
    arena.send(0, 10)
    process = arena.start("stream", "--once")
    listed = set()
    while process.poll() is None:
        listed.add(subprocess.run(["ps", "-A", "-o", "args="], capture_output=True, text=True).stdout)
        time.sleep(0.5)
    kill_group(process)

    assert process.returncode == 0, arena.log("log").read_text()
    assert not arena.damage()
    assert not any(SECRET in text for text in listed)
    assert [path for path in files_in(arena.world.folder) if SECRET.encode() in path.read_bytes()] == []


@pytest.mark.slow
def test_a_wrong_password_is_told_at_once_and_without_it(arena: Arena, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_PASSWORD", WRONG)
    said = arena.finished("stream", "--once", code=1)

    assert "(SaslAuthenticationException)" in said and "Waiting" not in said
    assert [path for path in files_in(arena.world.folder) if WRONG.encode() in path.read_bytes()] == []


def over_tls(spark: SparkSession, folder: Path, guarded: Guarded, **options: str | None) -> Arena:
    """A stream that shows the client's certificate and trusts the broker's, but for these options."""
    at = guarded.certificates
    given = {"security.protocol": "SSL", **store("keystore", at / "client"), **store("truststore", at / "only_broker")}
    changed = {name.replace("_", "."): value for name, value in options.items()}
    kafka = {"servers": guarded.tls, "options": {name: value for name, value in {**given, **changed}.items() if value}}
    return make_arena(spark, folder, guarded.broker, kafka=kafka)


@pytest.mark.slow
def test_certificates_of_both_sides_go_through(
    spark: SparkSession, tmp_path: Path, guarded: Guarded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_PASSWORD", SECRET)
    arena = over_tls(spark, tmp_path, guarded)
    arena.feed(3)
    arena.send(0, 10)
    arena.run()

    assert not arena.damage() and arena.fed_rows() == arena.fed and arena.holds()
    assert [path for path in files_in(arena.world.folder) if SECRET.encode() in path.read_bytes()] == []


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"ssl_truststore_location": "only_stranger"}, "SslAuthenticationException, SunCertPathBuilderException"),
        ({"ssl_keystore_location": "stranger"}, "SslAuthenticationException"),
        (
            dict.fromkeys(["ssl_keystore_location", "ssl_keystore_type", "ssl_keystore_password"]),
            "SslAuthenticationException",
        ),
        ({"ssl_truststore_location": "nowhere"}, "NoSuchFileException"),
        ({"security_protocol": None}, "security.protocol under kafka.options"),
    ],
    ids=["another broker", "another client", "no certificate", "no file", "no TLS"],
)
def test_without_the_right_certificates_nothing_is_read(
    spark: SparkSession,
    tmp_path: Path,
    guarded: Guarded,
    monkeypatch: pytest.MonkeyPatch,
    wrong: dict[str, Any],
    why: str,
) -> None:
    monkeypatch.setenv("KAFKA_PASSWORD", SECRET)
    # what Kafka cannot tell from an outage is waited for
    monkeypatch.setattr(stream, "FIRST_CONTACT", timedelta(seconds=4 if "security_protocol" in wrong else 600))
    at = {name: value and str(guarded.certificates / value) for name, value in wrong.items()}
    arena = over_tls(spark, tmp_path, guarded, **at)
    arena.send(0, 10)
    with pytest.raises(RunError, match=re.escape(why)) as refused:
        arena.run()

    assert SECRET not in str(refused.value) and not Path(arena.output).exists()


def only(broker: KafkaBroker, topic: str, *, user: str, operation: ACLOperation) -> None:
    """From now on nobody but the user may do this with the topic, and nobody anything else."""
    right = {"operation": operation, "permission_type": ACLPermissionType.ALLOW}
    resource = ResourcePattern(ResourceType.TOPIC, topic)
    with closing(KafkaAdminClient(bootstrap_servers=broker.servers)) as admin:
        made = admin.create_acls([ACL(principal=f"User:{user}", host="*", resource_pattern=resource, **right)])
    assert not made["failed"]


def test_a_topic_without_rights_is_no_missing_topic(
    spark: SparkSession, tmp_path: Path, guarded: Guarded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_PASSWORD", SECRET)
    kafka = over_sasl(spark, tmp_path, guarded).job.kafka
    assert kafka is not None
    guarded.broker.create_topic("hidden")
    only(guarded.broker, "hidden", user="another", operation=ACLOperation.DESCRIBE)
    for topic, said in (
        ("hidden", r"no access to Kafka at .* \(TopicAuthorizationException, topic 'hidden'\)"),
        ("nowhere", "topic 'nowhere' is not at"),
        ("no topic!", "topic 'no topic!' is not at"),
    ):
        with pytest.raises(RunError, match=said):
            topic_states(spark, kafka, [topic])


def test_rows_that_may_not_be_read_end_the_stream_with_their_topic(
    spark: SparkSession, tmp_path: Path, guarded: Guarded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_PASSWORD", SECRET)
    arena = over_sasl(spark, tmp_path, guarded)
    arena.send(0, 3)
    only(guarded.broker, arena.rows_topic, user="scorer", operation=ACLOperation.DESCRIBE)
    with pytest.raises(RunError, match=rf"no access to Kafka at .*topic '{arena.rows_topic}'"):
        arena.run()
