"""Registries as messages show them, and asked whether they answer."""

import sys
import threading
import traceback
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from spark_scoring.errors import ConfigError, RunError
from spark_scoring.models.registry import client_of
from spark_scoring.models.uris import check_reachable, first_line, without_password, without_secrets


class _Healthy(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/health" else 404)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    made = HTTPServer(("127.0.0.1", 0), _Healthy)
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    yield f"127.0.0.1:{made.server_port}"
    made.shutdown()
    made.server_close()
    thread.join()


@pytest.mark.parametrize(
    ("registry", "shown"),
    [("sqlite:///a/mlflow.db", "sqlite:///a/mlflow.db"), ("http://h:5000/x", "http://h:5000/x"),
     ("mlruns", "mlruns"), ("postgresql://u:S3cr@t@h:1/db", "postgresql://***@h:1/db"),
     ("postgresql+psycopg2://u:S3/cret@h/db", "postgresql+psycopg2://***@h/db"),
     ("https://h/?token=S3cret", "https://h/?***"), ("mysql://h/db?user=u&password=S3@cret", "mysql://***"),
     ("sqlite://u:S3cret@/x", "sqlite://***@/x"), ("databricks://S3cret:x", "databricks://***"),
     ("nosuch://S3cret@h", "nosuch://***"), ("http://u:S3?cret@h", "http://***")],
)  # fmt: skip
def test_a_registry_is_shown_without_credentials(registry: str, shown: str) -> None:
    assert without_password(registry) == shown


def test_what_a_library_says_is_shown_without_credentials() -> None:
    registry = "postgresql://u:S3/cr%40et@h/db?password=other"
    said = f"no '{registry}': port 'S3/cr%40et' or 'cr@et' of //u:S3/cr@et@h, password=other"
    assert not {"S3/", "cr@et", "cr%40et", "other"} & set(without_secrets(said, registry).split("'"))
    cut = first_line(ValueError(f"{'x' * 180} {registry}"), registry=registry)
    assert "cr" not in cut and "S3" not in cut
    assert "cr" not in without_secrets(said, registry) and "other" not in without_secrets(said, registry)


@pytest.mark.parametrize("credentials", ["", "u:S3cret@", "u:S3c@ret@"])
def test_a_server_is_reached_with_credentials_in_its_uri(credentials: str, server: str) -> None:
    check_reachable(f"http://{credentials}{server}")
    check_reachable(f"http://{credentials}{server}/?token=x")


@pytest.mark.parametrize(
    "registry",
    ["postgresql://u:Xy7@qz@127.0.0.1:1/db", "postgresql://u:Xy7/qz@127.0.0.1:1/db", "http://u:Xy7qz@127.0.0.1:1",
     "http://u:Xy7/qz@127.0.0.1:1", "https://127.0.0.1:1/?token=Xy7qz", "mysql://u:Xy7qz@127.0.0.1:1/db",
     "postgresql://127.0.0.1:1/db?user=u&password=Xy7qz", "mssql+pyodbc://u:Xy7qz@x/db?driver=a",
     "nosuch://u:Xy7qz@127.0.0.1/db", "sqlite://u:Xy7qz@/x", "sqlite:////nowhere/x?password=Xy7qz"],
)  # fmt: skip
def test_no_error_of_a_registry_shows_credentials(registry: str) -> None:
    with pytest.raises(RunError) as caught, client_of(registry) as client:
        client.get_registered_model("late")
    said = "".join(traceback.format_exception(caught.value))
    assert "Xy7" not in said and "qz" not in said


def test_a_driver_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg2", None)
    expected = r"postgresql\+psycopg2://\*\*\*@h/db: .*module 'psycopg2'.* 'pip install psycopg2-binary'"
    with pytest.raises(RunError, match=expected), client_of("postgresql+psycopg2://u:S3cret@h/db"):
        pass


@pytest.mark.parametrize("registry", ["", "  "])
def test_an_empty_registry_is_refused(registry: str) -> None:
    with pytest.raises(ConfigError, match="the registry's URI is empty"), client_of(registry, create=True):
        pass
