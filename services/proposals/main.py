"""The proposals service: ``palabre proposals api|relay|consume|migrate``."""

from fastapi import FastAPI
from sqlalchemy.orm import Session

from services.common.app import create_app, service_cli
from services.common.media.settings import MediaSettings
from services.common.media.storage import storage_of
from services.common.settings import ServiceSettings
from services.proposals import api
from services.proposals.campaigns import api as campaigns
from services.proposals.campaigns.service import advance
from services.proposals.consumers import CONSUMER
from services.proposals.discussion import api as discussion
from services.proposals.exports import api as exports
from services.proposals.files import api as files
from services.proposals.files.service import purge_orphans
from services.proposals.merging import api as merging
from services.proposals.reviews import api as reviews
from services.proposals.settings import Settings
from services.proposals.works import api as works

#: How often calendars are looked at.
CALENDAR_SECONDS = 60.0
#: The core last: elsewhere's paths would else be taken for a proposal's.
FEATURES = (files, campaigns, exports, merging, discussion, reviews, works, api)


def make_app(settings: ServiceSettings, kept: MediaSettings | None = None) -> FastAPI:
    """Return the application; ``kept`` says where photos and documents are."""
    storage = storage_of(kept or MediaSettings())

    def configure(app: FastAPI) -> None:
        app.state.storage = storage

    def purge(session: Session) -> None:
        purge_orphans(session, storage)

    return create_app(
        settings,
        [feature.router for feature in FEATURES],
        title="Palabre proposals",
        body_limits=files.BODY_LIMITS,
        configure=configure,
        chores=[purge],
    )


cli = service_cli(
    Settings,
    make_app,
    package="services/proposals",
    consumer=lambda _: CONSUMER,
    chores=[advance],
    interval=CALENDAR_SECONDS,
)
