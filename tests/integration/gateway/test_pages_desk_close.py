"""The desk closes a vote: before its announced end it says why, and everybody reads it."""

from collections.abc import Iterator
from pathlib import Path
from threading import Event as Flag
from typing import Any

import httpx2 as httpx
import pytest
from sqlalchemy import text

from gateway.settings import Settings
from services.common.auth import FixedKeys
from services.common.events.embedded import EmbeddedSubscription
from services.voting.consumers import CONSUMER
from services.voting.main import make_app
from services.voting.settings import Settings as VotingSettings
from tests.apps import serve
from tests.integration.gateway.desk_campaigns import (
    BUDGET,
    Form,
    open_phase,
    propose,
    send,
    shortlist,
)
from tests.integration.gateway.desk_front import Front, desk_front, plain
from tests.servers import Database

pytestmark = pytest.mark.integration

BUTTON = "Clore et publier les résultats"


@pytest.fixture(scope="module")
def voting(fresh_database: Database, tokens: Any) -> Any:
    url = fresh_database.url("voting")
    app = make_app(VotingSettings(_env_file=None, database_url=url, secret="5" * 64))
    app.state.keys = FixedKeys(tokens.signer.jwks)
    return app


@pytest.fixture(scope="module")
def front(
    voting: Any,
    fresh_database: Database,
    gateway_settings: Settings,
    tokens: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Front]:
    media: Path = tmp_path_factory.mktemp("media")
    with serve(voting) as url:
        settings = gateway_settings.model_copy(update={"voting_url": url})
        with desk_front(fresh_database, settings, tokens, media) as running:
            yield running


@pytest.fixture
def campaign(front: Front, voting: Any) -> str:
    """Return a campaign whose vote is open."""
    found = front.campaign("ideas")
    shortlist(front, propose(front, found, "Un puits", 1_000_000), 2_000_000)
    open_phase(front.agent(), found, "vote")
    EmbeddedSubscription(voting.state.engine, CONSUMER).drain(Flag())
    return found


def results(front: Front, campaign: str) -> httpx.Response:
    return front.visitor().get(f"/budget/{campaign}/resultats")


def test_a_vote_is_shortened_with_a_reason_that_the_results_show(
    front: Front, campaign: str
) -> None:
    agent, page = front.agent("elections.manage"), f"{BUDGET}/{campaign}/cloture"
    assert "Elle finira plus tôt" in plain(agent.get(page))
    refused = send(agent, page, BUTTON, reason=" ")
    assert refused.status_code == 422
    assert "dites pourquoi elle finit avant" in plain(refused)
    assert Form(refused.text, BUTTON).values["reason"] == [""]
    closed = send(agent, refused, BUTTON, reason="La crue <arrive>.")
    assert (closed.status_code, closed.headers["location"]) == (
        303,
        f"/budget/{campaign}/resultats",
    )
    said = plain(results(front, campaign))
    assert "La mairie a clos le vote avant la fin annoncée" in said
    assert "La crue <arrive>." in said


def test_a_vote_whose_time_is_over_is_closed_without(
    front: Front, campaign: str, voting: Any
) -> None:
    with voting.state.engine.begin() as connection:
        connection.execute(
            text(
                "UPDATE elections SET opens_at = now() - interval '2 days', "
                "closes_at = now() - interval '1 day' WHERE campaign = :campaign"
            ),
            {"campaign": campaign},
        )
    agent, page = front.agent("elections.manage"), f"{BUDGET}/{campaign}/cloture"
    shown = agent.get(page)
    assert "reason" not in Form(shown.text, BUTTON).values
    assert send(agent, shown, BUTTON).status_code == 303
    said = results(front, campaign)
    assert said.status_code == 200
    assert "avant la fin annoncée" not in plain(said)
