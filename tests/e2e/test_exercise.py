"""One exercise of a commune's budget, from forty ideas to works whose every franc adds up."""

import csv
import io
import re
from collections import Counter
from datetime import timedelta

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.browsing import ARTEFACTS, Visit, pick, press, shoot, sign_in, tick, words
from tests.e2e.exercise import BUDGET, Exercise, Json, today
from tests.e2e.running import Palabre, wait_for

pytestmark = pytest.mark.e2e

COMMUNE = "0102"
CITIZEN, CLERK = "+2290197000501", "+2290197000502"
COUNT = 40


def test_a_whole_exercise(palabre: Palabre, browser: Browser) -> None:
    with (
        Exercise(palabre, COMMUNE) as exercise,
        Visit(browser, palabre) as citizen,
        Visit(browser, palabre) as clerk,
    ):
        exercise.announce()
        sign_in(citizen, palabre, CITIZEN)
        palabre.command("users", "grant", CLERK, "--role", "agent", "--commune", COMMUNE)
        sign_in(clerk, palabre, CLERK)
        ideas(exercise, citizen)
        merges(exercise)
        talk(exercise)
        reviews(exercise, clerk)
        vote(exercise, citizen, clerk)
        ledgers = works(exercise)
        adds_up(exercise, ledgers, citizen)
    assert palabre.command("events", "dead-letters") == ""


def ideas(exercise: Exercise, page: Page) -> None:
    """Forty proposals: 38 over HTTP, one by a form, one begun as a draft and finished."""
    exercise.collect(COUNT - 2)
    author = exercise.citizens[0]
    draft = author.send(
        "proposals",
        {
            "campaign": exercise.campaign,
            "title": "Une idée à finir",
            "geometry": exercise.place(3),
            "draft": True,
        },
    )
    assert draft["ref"] not in str(list(exercise.everything("proposals")))
    author.send(
        f"proposals/{draft['id']}",
        {"description": "Un banc à l'ombre.", "estimated_cost": 900_000},
        "PATCH",
    )
    author.send(f"proposals/{draft['id']}/submit")
    exercise.proposals.append(draft)
    exercise.authors[draft["id"]] = author

    page.goto(f"/budget/{exercise.campaign}/proposer")
    page.get_by_label("Titre du projet").fill("Trois bornes-fontaines au carrefour")
    pick(page, "Eau et puits")
    page.locator("[name=arrondissement]").select_option(index=4)
    page.get_by_label("À quoi ce projet").fill("L'eau est à deux kilomètres.")
    page.get_by_label("Coût estimé").fill("3 600 000")
    press(page, "Proposer ce projet")
    if page.get_by_text(words("se ressemblent")).count():
        press(page, "Proposer quand même")
    expect(
        page.get_by_role("heading", name="Trois bornes-fontaines au carrefour", level=1)
    ).to_be_visible()
    found = list(exercise.everything("proposals", campaign=exercise.campaign))
    assert len(found) == COUNT
    by_form = next(f for f in found if f["properties"]["title"].startswith("Trois bornes"))
    assert by_form["properties"]["envelope"] == exercise.envelopes["Eau"]
    exercise.proposals.append(by_form["properties"])

    # What cannot be is refused, and nothing of it is kept.
    _, lon, lat = exercise.areas[0]
    body = {
        "campaign": exercise.campaign,
        "title": "Hors cadre",
        "description": "Non.",
        "estimated_cost": 1_000_000,
        "geometry": {"type": "Point", "coordinates": [lon, lat]},
    }
    east, north = lon + 0.001, lat + 0.001
    bow = [[lon, lat], [east, north], [east, lat], [lon, north], [lon, lat]]
    other = {"type": "Point", "coordinates": list(exercise.areas[1][1:])}
    for change, problem in (
        ({"geometry": {"type": "Polygon", "coordinates": [bow]}}, "invalid"),
        ({"geometry": {"type": "Point", "coordinates": [2.0, 4.0]}}, "outside_country"),
        ({"geometry": other, "envelope": exercise.envelopes["Premier"]}, "no_envelope"),
        ({"estimated_cost": -1}, "invalid"),
        ({"estimated_cost": 1.5}, "invalid"),
        ({"estimated_cost": 14_000_001}, "over_budget"),
    ):
        author.refused("proposals", body | change, 422, problem)
    assert len(list(exercise.everything("proposals", campaign=exercise.campaign))) == COUNT


def merges(exercise: Exercise) -> None:
    """Two merges with consent, one refused, one undone; endorsements go over by their persons."""
    exercise.endorse()
    web = exercise.proposals[6:30]
    similar = exercise.nobody.get(
        "proposals/similar", campaign=exercise.campaign, title="eclairage des marches n° 8"
    )["items"]
    assert similar, "what resembles is shown"
    assert similar[0]["title"].startswith("Éclairage du marché")

    done = []
    for target, source in ((web[0], web[1]), (web[2], web[3]), (web[4], web[5])):
        owner, other = exercise.authors[target["id"]], exercise.authors[source["id"]]
        body = {"target": target["ref"], "sources": [source["ref"]], "note": "Le même besoin."}
        merge = owner.send("merges", body)
        other.send(f"merges/{merge['id']}/consent", {"agree": True})
        done.append(merge["id"])
    for target, source in ((web[0], web[1]), (web[2], web[3])):
        read = exercise.nobody.get(f"proposals/{source['id']}")
        assert (read["status"], read["merged_into"]["ref"]) == ("merged", target["ref"])
    refused = exercise.authors[web[6]["id"]].send(
        "merges", {"target": web[6]["ref"], "sources": [web[7]["ref"]]}
    )
    exercise.authors[web[7]["id"]].send(f"merges/{refused['id']}/consent", {"agree": False})
    assert exercise.nobody.get(f"proposals/{web[7]['id']}")["status"] == "submitted"
    exercise.authors[web[5]["id"]].send(f"merges/{done[2]}/undo", {"reason": "Pas le même lieu."})
    assert exercise.nobody.get(f"proposals/{web[5]['id']}")["status"] == "submitted"

    before = exercise.nobody.get(f"proposals/{web[0]['id']}")["endorsements"]
    carried = 0
    for person in exercise.citizens:
        for offer in person.get("endorsement-offers")["items"]:
            if offer["target"]["ref"] == web[0]["ref"]:
                person.send(f"endorsement-offers/{offer['merge']}", {"confirm": True})
                carried += 1
    after = exercise.nobody.get(f"proposals/{web[0]['id']}")["endorsements"]
    assert after == before + carried
    gone = {web[1]["id"], web[3]["id"]}
    exercise.proposals = [p for p in exercise.proposals if p["id"] not in gone]


def talk(exercise: Exercise) -> None:
    """Comments, one hidden with a reason; an amendment that its author takes."""
    proposal = exercise.proposals[-3]
    ama, koffi = exercise.citizens[20:22]
    said = ama.send(
        f"proposals/{proposal['id']}/comments", {"body": "Très utile.", "stance": "for"}
    )
    koffi.send(
        f"proposals/{proposal['id']}/comments",
        {"body": "Non : trop cher.", "stance": "against", "parent": said["id"]},
    )
    koffi.send("abuse-reports", {"subject": "comment", "id": said["id"], "reason": "off_topic"})
    exercise.agent.send(
        "moderation",
        {
            "subject": "comment",
            "id": said["id"],
            "action": "hide",
            "reason": "off_topic",
            "note": "Hors sujet.",
        },
    )
    assert "Très utile" not in str(exercise.nobody.get(f"proposals/{proposal['id']}/comments"))

    idea = exercise.proposals[20]
    made = ama.send(
        f"proposals/{idea['id']}/amendments",
        {"changes": {"title": "Éclairage et bancs du marché"}, "note": "Avec des bancs."},
    )
    exercise.authors[idea["id"]].send(f"amendments/{made['id']}/decision", {"accept": True})
    read = exercise.nobody.get(f"proposals/{idea['id']}")
    assert (read["title"], read["revision"]) == ("Éclairage et bancs du marché", 2)


def reviews(exercise: Exercise, page: Page) -> None:
    """Every proposal is answered: most over HTTP, one at the desk, two agents at once on one."""
    exercise.enter("review")
    stranger = exercise.citizens[0]
    left = list(exercise.proposals)
    body = {"outcome": "feasible", "reason": "Chiffré sur place.", "cost": 1_000_000}
    stranger.refused(f"proposals/{left[0]['id']}/review", body, 403, "forbidden")

    contested = left.pop(0)
    seen = exercise.nobody.get(f"proposals/{contested['id']}")["version"]
    exercise.agent.send(f"proposals/{contested['id']}/review", body | {"seen": seen})
    problem = exercise.second.client.post(
        f"proposals/{contested['id']}/review", json=body | {"cost": 2, "seen": seen}
    )
    assert problem.status_code == 409
    assert "1000000" in problem.text, "the other one reads what was decided"

    by_hand = left.pop()
    page.goto(f"/mairie/{COMMUNE}/propositions/{by_hand['ref']}")
    pick(page, "Réalisable : proposé au vote")
    page.get_by_label("Coût réel").fill("3 500 000")
    page.get_by_label("Explication publique").fill("Trois bornes, le réseau passe devant.")
    press(page, "Publier l'étude")
    expect(page.get_by_text("Retenu pour le vote").first).to_be_visible()

    impossible = left[3]
    for place, proposal in enumerate(left):
        read = exercise.nobody.get(f"proposals/{proposal['id']}")
        cost = min(read["estimated_cost"] + 50_000, read["envelope"]["amount"])
        if proposal is impossible:
            told = {"outcome": "not_feasible", "reason": "Terrain privé.", "cost": cost}
        elif place % 9 == 5:
            told = {"outcome": "feasible_with_changes", "reason": "Plus au nord.", "cost": cost}
        else:
            told = {"outcome": "feasible", "reason": "Chiffré sur place.", "cost": cost}
        exercise.technician.send(f"proposals/{proposal['id']}/review", told)
    author = exercise.authors[impossible["id"]]
    answer = {"answer": "Le propriétaire cède le terrain par écrit."}
    author.send(f"proposals/{impossible['id']}/review/answer", answer)
    assert (
        author.client.post(f"proposals/{impossible['id']}/review/answer", json=answer).status_code
        == 409
    )
    exercise.agent.send(
        f"proposals/{impossible['id']}/review",
        {"outcome": "feasible", "reason": "Terrain cédé.", "cost": 1_200_000},
    )
    counts = exercise.nobody.get(f"campaigns/{exercise.campaign}")["counts"]
    assert counts["shortlisted"] == len(exercise.proposals) == COUNT - 2
    for envelope in exercise.shortlisted():
        assert envelope["total"] == sum(p["cost"] for p in envelope["proposals"])


def vote(exercise: Exercise, citizen: Page, clerk: Page) -> None:
    """Freeze, vote over HTTP and in a browser, close, and see what is funded by envelope."""
    shortlist = {p["id"]: p["cost"] for e in exercise.shortlisted() for p in e["proposals"]}
    exercise.enter("vote")
    election = wait_for(exercise.election, 15, "the election")
    assert {p["id"]: p["cost"] for p in election["projects"]} == shortlist
    assert sum(e["amount"] for e in election["envelopes"]) == BUDGET
    one = exercise.proposals[0]
    exercise.authors[one["id"]].refused(
        f"proposals/{one['id']}", {"title": "Trop tard"}, 409, "wrong_phase", "PATCH"
    )
    cast = exercise.ballots(election)
    citizen.goto(f"/budget/{exercise.campaign}/vote")
    tick(citizen, "Trois bornes-fontaines")
    press(citizen, "Vérifier mon bulletin")
    press(citizen, "Envoyer mon vote")
    expect(citizen.get_by_role("heading", name="Votre vote est compté")).to_be_visible()

    clerk.goto(f"/mairie/{COMMUNE}/budget/{exercise.campaign}")
    press(clerk, "Clore le vote et compter")
    clerk.locator("[name=reason]").fill("Tout le monde a voté.")
    press(clerk, "Clore et publier les résultats")
    expect(clerk.get_by_role("heading", level=1, name="Résultats")).to_be_visible()
    counted = exercise.nobody.get(f"elections/{election['id']}/results")
    assert counted["turnout"] == cast + 1
    amounts = {e["id"]: e["amount"] for e in election["envelopes"]}
    spent: Counter[str] = Counter()
    for project in counted["projects"]:
        if project["funded"]:
            spent[project["envelope"]] += project["cost"]
    assert all(spent[envelope] <= amount for envelope, amount in amounts.items())
    assert counted["total_cost"] == sum(spent.values())
    wait_for(
        lambda: exercise.nobody.get(f"campaigns/{exercise.campaign}")["phase"] == "results",
        15,
        "the results",
    )
    funded = wait_for(exercise.works, 15, "the works")
    assert Counter(w["voted_cost"] for w in funded) == Counter(
        p["cost"] for p in counted["projects"] if p["funded"]
    )
    exercise.enter("works")


def works(exercise: Exercise) -> list[str]:
    """Build three works: plan, progress, money, delays, completion; return their refs."""
    first, second, third = (w["ref"] for w in exercise.works()[:3])
    day = today()
    for ref in (first, second, third):
        exercise.agent.send(
            f"works/{ref}",
            {
                "contractor": "Entreprise Agbo",
                "starts_on": day.isoformat(),
                "ends_on": (day + timedelta(days=60)).isoformat(),
            },
            "PATCH",
        )
        for status in ("tendering", "under_way"):
            exercise.agent.send(f"works/{ref}/status", {"status": status})
    voted = {w["ref"]: w["voted_cost"] for w in exercise.works()}

    # The first one costs what was voted, to the franc, in three payments.
    exercise.entry(first, "commitment", voted[first])
    third_part = voted[first] // 3
    for amount in (third_part, third_part, voted[first] - 2 * third_part):
        exercise.entry(first, "invoice", amount)
        exercise.entry(first, "payment", amount)
    over = {
        "kind": "payment",
        "amount": 1,
        "dated": day.isoformat(),
        "label": "Un franc de trop",
    }
    exercise.treasurer.refused(f"works/{first}/entries", over, 422, "paid_over_committed")
    for amount in (-5, 0, 1.5, True, "12"):
        exercise.treasurer.refused(
            f"works/{first}/entries", over | {"amount": amount}, 422, "invalid"
        )
    stranger = exercise.citizens[0]
    stranger.refused(f"works/{first}/entries", over, 403, "forbidden")

    # The second one is cheaper, with a mistake that a counter-entry takes back.
    price = voted[second] - 123_457
    exercise.entry(second, "commitment", price)
    wrong = exercise.entry(second, "invoice", price - 7)
    exercise.treasurer.send(
        f"works/{second}/entries/{wrong['id']}/counter", {"reason": "Saisie deux fois."}
    )
    exercise.treasurer.refused(
        f"works/{second}/entries/{wrong['id']}/counter",
        {"reason": "Encore."},
        409,
        "already_countered",
    )
    exercise.entry(second, "invoice", price)
    exercise.entry(second, "payment", price - 1_000_003)

    # The third one goes over what was committed, with a published reason, and is late.
    exercise.entry(third, "commitment", voted[third])
    exercise.entry(third, "payment", voted[third])
    exercise.entry(third, "payment", 11, reason="Frais bancaires du dernier mandat.")
    exercise.agent.send(
        f"works/{third}/delay",
        {"ends_on": (day + timedelta(days=90)).isoformat(), "reason": "Pluies."},
    )

    for ref in (first, second):
        exercise.agent.send(f"works/{ref}/completion", {"note": "Reçu avec le comité."})
    for person in exercise.citizens[:5]:
        person.send(f"works/{first}/confirmations", {"verdict": "confirmed"})
    exercise.citizens[6].send(
        f"works/{first}/confirmations", {"verdict": "disputed", "note": "Il manque une lampe."}
    )
    checks = exercise.nobody.get(f"works/{first}")["confirmations"]
    assert (checks["confirmed"], checks["disputed"]) == (5, 1)
    return [first, second, third]


def francs(said: str) -> int:
    """Return the amount that a page writes with spaces."""
    return int(re.sub(r"[^\d-]", "", said.replace("−", "-")))


def adds_up(exercise: Exercise, refs: list[str], page: Page) -> None:
    """Hold the same sums against one another: API, database, events, projection, file, page."""
    money = exercise.nobody.get(f"campaigns/{exercise.campaign}/money")
    names = ("voted", "committed", "invoiced", "paid", "balance")
    assert money["budget"] == BUDGET == sum(e["amount"] for e in money["envelopes"])
    for name in (*names, "unspent"):
        assert money[name] == sum(e[name] for e in money["envelopes"]), name
    assert money["balance"] == money["voted"] - money["paid"]
    assert money["unspent"] == BUDGET - money["voted"]
    told: dict[str, Json] = {w["ref"]: w for e in money["envelopes"] for w in e["works"]}
    assert money["paid"] == sum(w["paid"] for w in told.values()) > 0

    lines = exercise.rows(
        "SELECT w.ref, l.kind, sum(l.amount) FROM ledger l JOIN works w ON w.id = l.work_id "
        "WHERE w.campaign_id = :campaign GROUP BY 1, 2",
        campaign=exercise.campaign,
    )
    stored = {(ref, kind): int(total) for ref, kind, total in lines}
    answer = exercise.nobody.client.get(f"campaigns/{exercise.campaign}/export/ledger.csv")
    written: Counter[tuple[str, str]] = Counter()
    for row in csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig")), delimiter=";"):
        written[(row["work"], row["kind"])] += int(row["amount"])
    assert dict(written) == stored
    logged: Counter[tuple[str, str]] = Counter()
    for ref, kind, amount in exercise.rows(
        "SELECT payload ->> 'ref', payload ->> 'kind', (payload ->> 'amount')::bigint FROM outbox "
        "WHERE type = 'bj.palabre.work.spent.v1' AND payload ->> 'campaign' = :campaign",
        campaign=exercise.campaign,
    ):
        logged[(ref, kind)] += amount
    assert dict(logged) == stored
    columns = {"commitment": "committed", "invoice": "invoiced", "payment": "paid"}
    for (ref, kind), total in stored.items():
        assert told[ref][columns[kind]] == total, (ref, kind)

    def projected() -> bool:
        rows = exercise.rows(
            "SELECT ref, voted_cost, committed, invoiced, paid FROM map_works WHERE campaign = :c",
            "gateway",
            c=exercise.campaign,
        )
        found = {row[0]: tuple(row[1:]) for row in rows}
        return found == {
            ref: (w["voted_cost"], w["committed"], w["invoiced"], w["paid"])
            for ref, w in told.items()
        }

    wait_for(projected, 15, "the gateway's own figures")

    page.goto(f"/budget/{exercise.campaign}/argent")
    shoot(page, ARTEFACTS / "exercise", "money")
    said = page.locator("main").inner_text()
    plain = re.sub(r"[\s\u00a0\u202f]", "", said)
    for name in ("voted", "paid", "balance"):
        assert str(money[name]) in plain, name
    for ref in refs:
        page.goto(f"/travaux/{ref}")
        shoot(page, ARTEFACTS / "exercise", f"work-{refs.index(ref) + 1}")
        plain = re.sub(r"[\s\u00a0\u202f]", "", page.locator("main").inner_text())
        assert str(told[ref]["paid"]) in plain
