"""The settings file of a one-machine installation."""

import socket
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from infra.errors import InfraError
from infra.launcher.environment import SECRETS, prepare, read_env, write_env
from infra.processes import free_port, is_free

pytestmark = pytest.mark.unit


def test_secrets_are_made_once_and_kept(tmp_path: Path) -> None:
    first = prepare(tmp_path, {})
    write_env(tmp_path / "env", first)
    assert stat.S_IMODE((tmp_path / "env").stat().st_mode) == 0o600
    assert read_env(tmp_path / "env") == first
    second = prepare(tmp_path, {})
    assert {name: second[name] for name in SECRETS} == {name: first[name] for name in SECRETS}
    assert len({first[name] for name in SECRETS}) == len(SECRETS)


def test_the_signing_key_is_ed25519_and_private(tmp_path: Path) -> None:
    path = Path(prepare(tmp_path, {})["PALABRE_ACCOUNTS_SIGNING_KEY_FILE"])
    pem = path.read_bytes()
    assert isinstance(load_pem_private_key(pem, None), Ed25519PrivateKey)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    prepare(tmp_path, {})
    assert path.read_bytes() == pem


@pytest.mark.parametrize(
    ("given", "name", "value"),
    [
        ({}, "PALABRE_EVENTS", "embedded"),
        ({"EVENTS": "kafka"}, "PALABRE_EVENTS", "kafka"),
        ({"PALABRE_EVENTS": "kafka"}, "PALABRE_EVENTS", "kafka"),
        ({"PORT": "8080"}, "PALABRE_GATEWAY_URL", "http://127.0.0.1:8080"),
        ({"DEMO": "0"}, "PALABRE_DEMO", "0"),
        ({"PALABRE_ENV": "production"}, "PALABRE_ENV", "production"),
        ({}, "PALABRE_ENV", "demo"),
    ],
)
def test_what_a_person_types_wins(
    tmp_path: Path, given: dict[str, str], name: str, value: str
) -> None:
    assert prepare(tmp_path, given)[name] == value


def test_short_names_hold_for_one_run_only(tmp_path: Path) -> None:
    write_env(tmp_path / "env", prepare(tmp_path, {"EVENTS": "kafka", "PORT": "8080", "DEMO": "0"}))
    again = prepare(tmp_path, {})
    assert again["PALABRE_EVENTS"] == "embedded"
    assert again["PALABRE_GATEWAY_PORT"] == "8000"
    assert again["PALABRE_DEMO"] == "1"


def test_a_setting_written_by_hand_stays(tmp_path: Path) -> None:
    write_env(tmp_path / "env", {"PALABRE_BASEMAP_URL": "/tiles/{z}/{x}/{y}.png"})
    assert prepare(tmp_path, {})["PALABRE_BASEMAP_URL"] == "/tiles/{z}/{x}/{y}.png"


@pytest.mark.parametrize(
    "given", [{"EVENTS": "rabbit"}, {"PORT": "http"}, {"PORT": "-1"}, {"PORT": "65536"}]
)
def test_nonsense_is_refused(tmp_path: Path, given: dict[str, str]) -> None:
    with pytest.raises(InfraError, match=next(iter(given))):
        prepare(tmp_path, given)


def test_ports_differ_and_a_taken_one_is_changed(tmp_path: Path) -> None:
    first = prepare(tmp_path, {})
    ports = [first[name] for name in first if name.endswith("_PORT")]
    assert len(set(ports)) == 5
    write_env(tmp_path / "env", first)
    with socket.create_server(("127.0.0.1", int(first["PALABRE_REPORTS_PORT"]))):
        second = prepare(tmp_path, {})
    assert second["PALABRE_REPORTS_PORT"] != first["PALABRE_REPORTS_PORT"]
    assert second["PALABRE_REPORTS_URL"].endswith(second["PALABRE_REPORTS_PORT"])
    assert second["PALABRE_VOTING_PORT"] == first["PALABRE_VOTING_PORT"]


def test_free_port_prefers_and_avoids() -> None:
    port = free_port()
    assert is_free(port)
    assert free_port(port) == port
    assert free_port(port, avoid=[port]) != port
