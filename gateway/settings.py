"""Settings of the gateway."""

from typing import ClassVar

from pydantic import Field, SecretStr

from services.common.settings import ServiceSettings


class Settings(ServiceSettings):
    """``PALABRE_GATEWAY_…``, and ``PALABRE_BASEMAP_…`` for tiles under the maps."""

    name: ClassVar[str] = "gateway"

    database_url: SecretStr = Field(validation_alias="PALABRE_GATEWAY_DATABASE_URL")
    port: int = Field(8000, validation_alias="PALABRE_GATEWAY_PORT")
    secret: SecretStr = Field(validation_alias="PALABRE_GATEWAY_SECRET", min_length=16)
    #: The reverse proxies in front, if any: nobody else is believed about a client's address.
    trusted_proxies: str = Field("", validation_alias="PALABRE_GATEWAY_TRUSTED_PROXIES")
    basemap_url: str = ""
    basemap_attribution: str = ""
