"""The mairie's settings by forms alone: rules rearranged and tried, targets, directory, keys."""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2 as httpx
import pytest

from gateway.pages.desk_settings import MAX_ROWS, RULE, matrix, rearranged
from gateway.settings import Settings
from tests.apps import Tokens
from tests.integration.gateway.desk_front import (
    COTONOU,
    DESK,
    SAVE,
    Front,
    desk_front,
    plain,
    table,
)
from tests.integration.gateway.pages_world import Visitor
from tests.servers import Database

pytestmark = pytest.mark.integration

SETTINGS = f"{DESK}/reglages"
ROUTING, TARGETS = f"{SETTINGS}/aiguillage", f"{SETTINGS}/delais"
AGENTS, KEYS = f"{SETTINGS}/annuaire", f"{SETTINGS}/cles"


@pytest.fixture(scope="module")
def served(
    fresh_database: Database,
    gateway_settings: Settings,
    tokens: Tokens,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Front]:
    media: Path = tmp_path_factory.mktemp("media")
    with desk_front(fresh_database, gateway_settings, tokens, media) as running:
        yield running


@pytest.fixture
def front(served: Front) -> Front:
    served.clear()
    return served


def rule(category: str = "", agency: str = "", arrondissement: str = "", *hours: str) -> list[str]:
    """Return the fields of a row in their order."""
    start, end = hours or ("", "")
    return [category, arrondissement, start, end, agency]


def press(
    visitor: Visitor,
    page: str | httpx.Response,
    do: str,
    rows: Sequence[Sequence[str]],
    **more: Any,
) -> httpx.Response:
    """Press a button of the rules' form, filled with ``rows``."""
    fields = {name: [row[n] for row in rows] for n, name in enumerate(RULE)}
    return visitor.fill(page, "/aiguillage", do=do, **fields, **more)


def shown(answer: httpx.Response) -> list[list[str]]:
    """Return the rows of the form as it is shown."""
    form = answer.text.split('id="regles"', 1)[1]
    found = []
    for row in re.findall(r'<li class="card rule.*?</li>', form, re.S):
        values = {}
        for name, body in re.findall(r'<select[^>]* name="(\w+)">(.*?)</select>', row, re.S):
            chosen = re.search(r'value="([^"]*)" selected', body)
            values[name] = chosen[1] if chosen else ""
        for name, value in re.findall(r'type="time"[^>]* name="(\w+)" value="([^"]*)"', row):
            values[name] = value
        found.append([values[name] for name in RULE])
    return found


def stored(front: Front) -> list[tuple[str | None, str]]:
    sql = "SELECT category, agency FROM routing_rules ORDER BY position"
    return [(row["category"], row["agency"]) for row in front.rows("reports", sql)]


@pytest.mark.parametrize("page", [SETTINGS, ROUTING, TARGETS, AGENTS, KEYS])
def test_settings_are_the_communes_own(front: Front, page: str) -> None:
    citizen, neighbour = front.visitor(), front.agent("clients.manage", commune=SAVE)
    for visitor in (citizen, neighbour):
        assert visitor.get(page).status_code == 403
    assert front.agent("clients.manage").get(page).status_code == 200


# Routing


def test_rows_are_rearranged_and_nothing_is_saved(front: Front) -> None:
    agent = front.agent()
    one, two = rule("waste", "hygiene"), rule("lighting", "police", "0801-03", "18:00", "06:00")
    answer = press(agent, ROUTING, "add", [one, two])
    assert shown(answer) == [one, two, rule()]
    assert "Rien" not in plain(answer)
    assert "N'oubliez pas d'enregistrer" in plain(answer)
    answer = press(agent, answer, "up:1", [one, two, rule()])
    assert shown(answer) == [two, one, rule()]
    answer = press(agent, answer, "down:0", [two, one, rule()])
    assert shown(answer) == [one, two, rule()]
    answer = press(agent, answer, "remove:2", [one, two, rule()])
    assert shown(answer) == [one, two]
    assert stored(front) == []
    assert press(agent, answer, "save", [one, two]).status_code == 303
    assert stored(front) == [("waste", "hygiene"), ("lighting", "police")]
    assert shown(agent.get(ROUTING)) == [one, two]


@pytest.mark.parametrize(
    ("what", "at", "expected"),
    [
        ("up", 0, "abc"), ("up", 1, "bac"), ("up", 2, "acb"), ("up", 9, "abc"), ("up", -1, "abc"),
        ("down", 0, "bac"), ("down", 1, "acb"), ("down", 2, "abc"), ("down", -1, "abc"),
        ("remove", 0, "bc"), ("remove", 2, "ab"), ("remove", 3, "abc"), ("remove", -1, "abc"),
        ("x", 1, "abc"),
    ],
)  # fmt: skip
def test_a_place_up_or_down(what: str, at: int, expected: str) -> None:
    rows = [{"agency": letter} for letter in "abc"]
    assert "".join(row["agency"] for row in rearranged(rows, what, at)) == expected


def test_no_more_rows_than_a_form_can_hold() -> None:
    full = [dict.fromkeys(RULE, "") for _ in range(MAX_ROWS)]
    assert len(rearranged(full, "add", -1)) == MAX_ROWS
    assert len(rearranged(full[1:], "add", -1)) == MAX_ROWS


def test_rules_are_tried_on_the_past_before_they_are_saved(front: Front) -> None:
    now = datetime.now(UTC)
    drains = [front.report("drainage", at=now - timedelta(days=n)) for n in (1, 2, 50)]
    front.report("waste", at=now)
    agent = front.agent()
    rows = [rule("drainage", "hygiene")]
    answer = press(agent, ROUTING, "try", rows, days="30")
    said = plain(answer)
    assert "3 signalements reçus depuis" in said
    assert "2 seraient dans un autre service qu'aujourd'hui" in said
    assert table(answer, "essai-services") == {"Voirie": ["2"]}
    for report in drains[:2]:
        assert f'href="{DESK}/signalements/{report["ref"]}"' in answer.text
    assert drains[2]["ref"] not in answer.text
    assert shown(answer) == rows
    assert stored(front) == []
    longer = press(agent, answer, "try", rows, days="90")
    assert table(longer, "essai-services") == {"Voirie": ["3"]}


def test_rules_without_effect_say_so(front: Front) -> None:
    front.report("drainage")
    answer = press(front.agent(), ROUTING, "try", [rule("drainage", "roads")])
    assert "Tous seraient dans le service où ils sont aujourd'hui" in plain(answer)


def test_moves_are_a_matrix_in_the_order_of_services() -> None:
    moves = [
        {"from": "water", "to": "hygiene", "count": 2},
        {"from": "roads", "to": "police", "count": 5},
        {"from": "roads", "to": "hygiene", "count": 1},
    ]
    assert matrix(moves) == {
        "columns": ["hygiene", "police"],
        "rows": [{"from": "roads", "counts": [1, 5]}, {"from": "water", "counts": [2, 0]}],
    }


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (rule("waste"), "choisissez un service"),
        (rule("waste", "nobody"), "choisissez un service"),
        (rule("dragons", "water"), "choisissez une catégorie"),
        (rule("waste", "water", "0405-01"), "choisissez un arrondissement"),
        (rule("waste", "water", "", "18:00", ""), "donnez deux heures différentes"),
        (rule("waste", "water", "", "18:00", "18:00"), "donnez deux heures différentes"),
        (rule("waste", "water", "", "25:00", "26:00"), "donnez deux heures différentes"),
    ],
)
@pytest.mark.parametrize("do", ["try", "save"])
def test_a_wrong_rule_is_marked_and_kept(front: Front, row: list[str], said: str, do: str) -> None:
    good = rule("water", "water")
    answer = press(front.agent(), ROUTING, do, [good, row])
    assert answer.status_code == 422
    assert f"Règle 2 : {said}" in plain(answer)
    assert 'href="#f-rule-1"' in answer.text
    assert 'id="f-rule-1"' in answer.text
    assert shown(answer)[0] == good
    assert stored(front) == []


def test_two_agents_at_once_lose_nothing(front: Front) -> None:
    first, second = front.agent(), front.agent()
    mine, theirs = [rule("waste", "police")], [rule("water", "roads")]
    opened = first.get(ROUTING)
    assert press(second, ROUTING, "save", theirs).status_code == 303
    answer = press(first, opened, "save", mine)
    assert answer.status_code == 422
    said = plain(answer)
    assert "Quelqu'un a changé ces règles" in said
    assert "Eau potable, tous arrondissements → Voirie" in said  # theirs, in words
    assert shown(answer) == mine  # mine, as they were
    assert stored(front) == [("water", "roads")]
    # Seen by both: saving again is a choice.
    assert press(first, answer, "save", mine).status_code == 303
    assert stored(front) == [("waste", "police")]


def test_a_list_too_long_for_a_form_is_shown_and_cannot_be_cut(front: Front) -> None:
    rules = [{"category": "waste", "agency": "hygiene"}] * (MAX_ROWS + 1)
    path = f"{front.url}/api/v1/desk/{COTONOU}/routing"
    headers = front.tokens.agent(COTONOU)
    httpx.put(path, json={"rules": rules}, headers=headers).raise_for_status()
    answer = front.agent().get(ROUTING)
    assert plain(answer).count("→ Hygiène et salubrité") == MAX_ROWS + 1
    assert 'name="agency"' not in answer.text
    httpx.put(path, json={"rules": rules[:MAX_ROWS]}, headers=headers).raise_for_status()
    agent = front.agent()
    page = agent.get(ROUTING)
    assert len(shown(page)) == MAX_ROWS
    assert press(agent, page, "save", shown(page)).status_code == 303
    assert len(stored(front)) == MAX_ROWS


def test_the_same_form_twice_saves_once(front: Front) -> None:
    agent = front.agent()
    opened = agent.get(ROUTING)
    rows = [rule("waste", "police")]
    assert [press(agent, opened, "save", rows).status_code for _ in range(2)] == [303, 303]
    assert stored(front) == [("waste", "police")]


def test_forms_that_nobody_made_are_read_calmly(front: Front) -> None:
    agent = front.agent()
    for fields in (
        {"category": ["waste"], "do": "save"},  # no other column: no row
        {"category": ["a", "b"], "agency": ["x"], "do": "up:99999999"},
        {"do": "down:²"},
        {"do": "\0", "expected": "x", "agency": ["\0"]},
        {"do": "save", "expected": "not a hash"},
    ):
        answer = agent.fill(ROUTING, "/aiguillage", **fields)
        assert answer.status_code in (200, 303, 422), fields
    assert stored(front) == []


# Targets


def days(page: httpx.Response) -> dict[str, str]:
    """Return the fields of the targets' form as they stand."""
    found = re.findall(r'name="((?:answer|repair)-\w+)"[^>]*? value="([^"]*)"', page.text)
    return dict(found)


def own(front: Front) -> list[dict[str, Any]]:
    return front.rows("reports", "SELECT category, answer_days, repair_days FROM targets")


def test_targets_are_saved_and_say_how_many_due_dates_moved(front: Front) -> None:
    for _ in range(2):
        front.report("lighting")
    front.report("waste")
    agent = front.agent()
    page = agent.get(TARGETS)
    fields = days(page)
    assert len(fields) == 20
    answer = agent.fill(
        page, "/delais", **fields | {"answer-lighting": "1", "repair-lighting": "4"}
    )
    assert answer.status_code == 303
    assert own(front) == [{"category": "lighting", "answer_days": 1, "repair_days": 4}]
    said = plain(agent.get(answer.headers["location"]))
    assert "L'échéance de 2 signalements ouverts a changé" in said
    assert "propre à la commune" in said


def test_an_emptied_row_is_usual_again(front: Front) -> None:
    agent = front.agent()
    usual = days(agent.get(TARGETS))
    agent.fill(TARGETS, "/delais", **usual | {"repair-waste": "9"})
    assert [row["category"] for row in own(front)] == ["waste"]
    page = agent.get(TARGETS)
    emptied = days(page) | {"answer-waste": "", "repair-waste": ""}
    answer = agent.fill(page, "/delais", **emptied)
    assert answer.status_code == 303
    assert own(front) == []
    assert days(agent.get(TARGETS)) == usual


@pytest.mark.parametrize(
    ("answer_days", "repair_days"),
    [("5", "3"), ("x", "3"), ("1", ""), ("-1", "3"), ("1", "251"), ("1", "9999"), ("²", "3")],
)
def test_a_wrong_target_is_marked_and_kept(
    front: Front, answer_days: str, repair_days: str
) -> None:
    agent = front.agent()
    page = agent.get(TARGETS)
    wrong = {"answer-water": answer_days, "repair-water": repair_days}
    answer = agent.fill(page, "/delais", **days(page) | wrong)
    assert answer.status_code == 422
    assert "Eau potable : deux nombres de jours" in plain(answer)
    assert days(answer)["answer-water"] == answer_days
    assert own(front) == []


def test_targets_changed_meanwhile_are_not_overwritten_unseen(front: Front) -> None:
    first, second = front.agent(), front.agent()
    opened = first.get(TARGETS)
    second.fill(TARGETS, "/delais", **days(opened) | {"repair-waste": "9"})
    answer = first.fill(opened, "/delais", **days(opened) | {"repair-water": "8"})
    assert answer.status_code == 422
    assert "Quelqu'un a changé ces délais" in plain(answer)
    assert days(answer)["repair-water"] == "8"
    assert [row["category"] for row in own(front)] == ["waste"]


# The directory


def test_an_agent_signs_in_changes_and_leaves(front: Front) -> None:
    user = uuid4()
    agent = front.agent(user=user)
    page = agent.get(AGENTS)
    assert "Vous n'êtes pas encore inscrit" in plain(page)
    assert agent.fill(page, "/annuaire", name="Adjoa Hounkpè", agency="roads").status_code == 303
    colleague = front.agent()
    assert "Adjoa Hounkpè" in plain(colleague.get(AGENTS))
    agent.fill(AGENTS, "/annuaire", name="A. Hounkpè", agency="")
    sql = "SELECT user_id, name, agency FROM agents"
    assert front.rows("reports", sql) == [{"user_id": user, "name": "A. Hounkpè", "agency": None}]
    left = agent.fill(AGENTS, "/annuaire", do="remove", user_id=str(user))
    assert left.status_code == 303
    assert front.rows("reports", sql) == []
    # Gone already: nothing to complain about.
    again = agent.fill(AGENTS, "/annuaire", do="remove", user_id=str(user))
    assert again.status_code == 303


def test_who_has_open_reports_stays(front: Front) -> None:
    user = uuid4()
    agent = front.agent(user=user)
    agent.fill(AGENTS, "/annuaire", name="Adjoa", agency="")
    ref = front.report()["ref"]
    assignment = {"assignee": str(user)}
    path = f"{front.url}/api/v1/desk/{COTONOU}/reports/{ref}/assignment"
    httpx.post(path, json=assignment, headers=front.tokens.agent(COTONOU)).raise_for_status()
    answer = agent.fill(AGENTS, "/annuaire", do="remove", user_id=str(user))
    assert answer.status_code == 422
    assert "encore des signalements ouverts" in plain(answer)


def test_colleagues_are_changed_by_who_grants_roles_alone(front: Front) -> None:
    user = uuid4()
    front.agent(user=user).fill(AGENTS, "/annuaire", name="Adjoa", agency="")
    plain_agent, admin = front.agent(), front.agent("roles.grant")
    assert "Retirer de l'annuaire" not in plain(plain_agent.get(AGENTS))
    forged = plain_agent.fill(AGENTS, "/annuaire", name="Autre", agency="", user_id=str(user))
    assert forged.status_code == 403
    assert "Retirer de l'annuaire" in plain(admin.get(AGENTS))
    changed = admin.fill(AGENTS, "/annuaire", name="Adjoa H.", agency="water", user_id=str(user))
    assert changed.status_code == 303
    sql = "SELECT name, agency FROM agents"
    assert front.rows("reports", sql) == [{"name": "Adjoa H.", "agency": "water"}]


@pytest.mark.parametrize("name", ["", "x" * 81, "a\nb", "\0", "…"])
def test_a_name_is_a_line(front: Front, name: str) -> None:
    answer = front.agent().fill(AGENTS, "/annuaire", name=name, agency="")
    assert answer.status_code == 422
    assert front.rows("reports", "SELECT 1 FROM agents") == []


# Keys


def key_of(answer: httpx.Response) -> str:
    found = re.search(r'id="cle">([^<]+)</code>', answer.text)
    return unescape(found[1]) if found else ""


def test_keys_are_the_administrators_alone(front: Front) -> None:
    agent = front.agent()
    assert agent.get(KEYS).status_code == 403
    assert KEYS not in agent.get(SETTINGS).text
    assert KEYS in front.agent("clients.manage").get(SETTINGS).text


def test_a_key_is_shown_once_works_and_is_revoked(front: Front) -> None:
    admin = front.agent("clients.manage")
    page = admin.get(KEYS)
    assert f"{front.url}/open311/v2" in plain(page)
    answer = admin.fill(page, "/cles", name="Numéro vert")
    key = key_of(answer)
    assert len(key) > 30
    assert answer.headers["cache-control"] == "no-store"
    # The same form once more is the same key, and still one client.
    assert key_of(admin.fill(page, "/cles", name="Numéro vert")) == key
    assert len(front.rows("reports", "SELECT 1 FROM api_clients")) == 1
    later = admin.get(KEYS)
    assert key not in later.text
    assert "Numéro vert" in plain(later)
    report = {
        "jurisdiction_id": COTONOU, "api_key": key, "service_code": "waste",
        "lat": "6.3601", "long": "2.3903", "description": "Tas d'ordures",
    }  # fmt: skip
    endpoint = f"{front.url}/open311/v2/requests.json"
    assert httpx.post(endpoint, data=report).status_code == 200
    (client,) = re.findall(r'name="client" value="([^"]+)"', later.text)
    revoked = admin.fill(later, "/cles", do="revoke", client=client)
    assert "La clé de « Numéro vert » ne vaut plus rien" in plain(revoked)
    assert httpx.post(endpoint, data=report).status_code == 403
    assert 'name="client"' not in admin.get(KEYS).text


def test_an_application_needs_a_name(front: Front) -> None:
    answer = front.agent("clients.manage").fill(KEYS, "/cles", name=" ")
    assert answer.status_code == 422
    assert 'id="e-name"' in answer.text
    assert front.rows("reports", "SELECT 1 FROM api_clients") == []
