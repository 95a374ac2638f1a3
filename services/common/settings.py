"""Settings from environment variables (prefix ``PALABRE_``) or the file ``PALABRE_ENV_FILE``."""

import os
from typing import ClassVar, Literal

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """What every process needs to know; each service adds its own fields."""

    model_config = SettingsConfigDict(
        env_prefix="PALABRE_",
        env_file=os.environ.get("PALABRE_ENV_FILE", ".palabre/env"),
        extra="ignore",
        frozen=True,
        populate_by_name=True,
    )

    name: ClassVar[str]

    env: Literal["demo", "production"] = "production"
    events: Literal["embedded", "kafka"] = "embedded"
    kafka_bootstrap_servers: str = "127.0.0.1:9092"
    host: str = "127.0.0.1"
    #: Addresses whose X-Forwarded-For and X-Forwarded-Proto are believed: the gateway's.
    trusted_proxies: str = "127.0.0.1"
    log_level: str = "INFO"
    accounts_url: str = "http://127.0.0.1:8001"
    reports_url: str = "http://127.0.0.1:8002"
    proposals_url: str = "http://127.0.0.1:8003"
    voting_url: str = "http://127.0.0.1:8004"


class ServiceSettings(Settings):
    """Settings of one service; subclasses alias both fields to ``PALABRE_<SERVICE>_…``."""

    database_url: SecretStr
    port: int
