"""docker-compose.yml: valid, and the same processes with the same settings as the launcher's."""

import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from gateway.settings import Settings as GatewaySettings
from infra.kafka.server import PROPERTIES
from infra.launcher.environment import SECRETS, prepare
from infra.launcher.table import PROCESSES, processes
from infra.postgres.cluster import OWNER, SETTINGS
from services.accounts.settings import Settings as AccountsSettings
from services.common.media.settings import MediaSettings
from services.proposals.settings import Settings as ProposalsSettings
from services.reports.settings import Settings as ReportsSettings
from services.voting.settings import Settings as VotingSettings

pytestmark = pytest.mark.contract

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
OURS = [process.name for process in processes("kafka")]
SETTINGS_OF = {
    "accounts": AccountsSettings,
    "reports": ReportsSettings,
    "proposals": ProposalsSettings,
    "voting": VotingSettings,
    "gateway": GatewaySettings,
}


def interpolate(value: str) -> str:
    """Fill `${NAME:-default}` and `${NAME:?message}` as compose does, from an empty environment."""
    value = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value)
    return re.sub(r"\$\{\w+:\?[^}]*\}", "f" * 64, value)


def test_it_follows_the_compose_specification() -> None:
    vendored = files("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json"
    jsonschema.validate(COMPOSE, json.loads(vendored.read_text()))


def test_it_runs_the_launchers_processes() -> None:
    commands = {
        name: tuple(service["command"])
        for name, service in COMPOSE["services"].items()
        if name not in ("setup", "postgres", "kafka")
    }
    assert commands == {process.name: process.arguments for process in PROCESSES}


@pytest.mark.parametrize("process", PROCESSES, ids=lambda process: process.name)
def test_each_process_finds_its_settings(process: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    service = COMPOSE["services"][process.name]
    assert service["build"]["args"] == {"SERVICE": process.service}
    for name, value in service["environment"].items():
        monkeypatch.setenv(name, interpolate(value))
    settings = SETTINGS_OF[process.service](_env_file=None)
    assert settings.events == "kafka"
    url = settings.database_url.get_secret_value()
    assert url.startswith(f"postgresql+psycopg2://palabre_{process.service}:")
    hosts = {name: getattr(settings, f"{name}_url") for name in SETTINGS_OF if name != "gateway"}
    for name, url in hosts.items():
        port = COMPOSE["services"][name]["environment"][f"PALABRE_{name.upper()}_PORT"]
        assert url == f"http://{name}:{port}"


def test_its_settings_are_the_launchers(tmp_path: Path) -> None:
    ours = {name for service in OURS for name in COMPOSE["services"][service]["environment"]}
    launchers = set(prepare(tmp_path, {})) - {"PALABRE_DEMO"}
    launchers -= {name for name in launchers if name.endswith("_DATABASE_PASSWORD")}
    urls = {f"PALABRE_{name.upper()}_DATABASE_URL" for name in SETTINGS_OF}
    optional = {"PALABRE_HOST", "PALABRE_BASEMAP_URL", "PALABRE_BASEMAP_ATTRIBUTION"}
    optional |= {"PALABRE_TRUSTED_PROXIES", "PALABRE_GATEWAY_TRUSTED_PROXIES"}
    optional |= {f"PALABRE_MEDIA_{name.upper()}" for name in MediaSettings.model_fields}
    optional |= {"PALABRE_PUBLIC_URL"}
    assert ours == launchers | urls | optional | {"PALABRE_KAFKA_BOOTSTRAP_SERVERS"}


def test_secrets_are_required_and_have_no_default() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    required = set(re.findall(r"\$\{(\w+):\?", text))
    assert required == {*SECRETS, "PALABRE_OWNER_DATABASE_PASSWORD"}
    example = (ROOT / ".env.example").read_text()
    assert set(re.findall(r"^(\w+)=$", example, re.M)) == required
    assert not re.findall(r"^\w+=.+$", example, re.M)


@pytest.mark.parametrize("name", OURS)
def test_containers_are_confined(name: str) -> None:
    service = COMPOSE["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["restart"] == "unless-stopped"
    assert service["depends_on"]["setup"] == {"condition": "service_completed_successfully"}
    assert ("ports" in service) is (name == "gateway")
    assert ("healthcheck" in service) is (service["command"][1] == "api")


def test_images_run_as_nobody_special() -> None:
    lines = (ROOT / "infra/docker/Dockerfile").read_text().splitlines()
    users = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert users == ["palabre"]
    # every RUN comes before it
    assert max(n for n, line in enumerate(lines) if line.startswith("RUN")) < lines.index(
        "USER palabre"
    )


def test_kafka_is_the_same_kafka() -> None:
    kafka = COMPOSE["services"]["kafka"]
    for name, value in PROPERTIES.items():
        assert kafka["environment"]["KAFKA_" + name.upper().replace(".", "_")] == value
    pom = (ROOT / "infra/kafka/pom.xml").read_text()
    version = re.search(r"<kafka.version>([\d.]+)</kafka.version>", pom)
    assert version
    assert kafka["image"] == f"apache/kafka:{version[1]}"


def test_postgres_is_the_same_postgres() -> None:
    postgres = COMPOSE["services"]["postgres"]
    assert postgres["environment"]["POSTGRES_USER"] == OWNER
    here_only = {"listen_addresses", "unix_socket_directories"}
    expected = {f"{name}={value}" for name, value in SETTINGS.items() if name not in here_only}
    assert {word for word in postgres["command"] if "=" in word} == expected
