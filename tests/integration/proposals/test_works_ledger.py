"""The ledger of a work and the money page: nothing is lost, nothing is changed, all adds up."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Barrier
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from services.accounts.tokens import Signer
from services.proposals.works import service
from services.proposals.works.domain import ENTRY_KINDS
from services.proposals.works.errors import NotADay
from services.proposals.works.schemas import NewEntry
from tests.integration.proposals.works_world import (
    Works,
    code_of,
    sums_of,
    tomorrow,
    works_world,
)
from tests.servers import Database

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def works(fresh_database: Database, signer: Signer) -> Iterator[Works]:
    with works_world(fresh_database, signer) as made:
        yield made


def test_entries_count_up_and_their_sums_stand_on_the_work(works: Works) -> None:
    ref = works.work(4_800_000)
    works.spent(ref, "commitment", 4_700_000, payee="Entreprise Gbégamey", document="M-12")
    works.spent(ref, "invoice", 1_200_000)
    done = works.spent(ref, "payment", 1_200_000)
    assert sums_of(done["sums"]) == (4_700_000, 1_200_000, 1_200_000, 3_600_000)
    found = works.get(ref)
    assert sums_of(found) == sums_of(done["sums"])
    assert done["version"] == found["version"] == 4
    assert [(line["number"], line["kind"], line["amount"]) for line in found["ledger"]] == [
        (1, "commitment", 4_700_000), (2, "invoice", 1_200_000), (3, "payment", 1_200_000),
    ]  # fmt: skip
    assert (found["ledger"][0]["payee"], found["ledger"][0]["document"]) == (
        "Entreprise Gbégamey", "M-12",
    )  # fmt: skip
    spent = [one for one in works.events(ref) if one["type"] == "spent"]
    assert [one["sequence"] for one in spent] == [2, 3, 4]
    assert sums_of(spent[-1]["payload"]) == sums_of(done["sums"])
    assert "label" not in spent[-1]["payload"]
    assert "payee" not in spent[-1]["payload"]


BAD_AMOUNTS = (0, -1, -4_000_000, 1.5, 1_000_000.0, "1000000", True, None, 10**12 + 1)


@pytest.mark.parametrize("amount", BAD_AMOUNTS)
@pytest.mark.parametrize("kind", ENTRY_KINDS)
def test_an_amount_is_a_whole_number_of_francs(works: Works, kind: str, amount: Any) -> None:
    ref = works.work()
    with works.nothing_stored():
        answer = works.spend(ref, kind, amount, reason="Parce que.")
        assert code_of(answer) == (422, "invalid")


@pytest.mark.parametrize(
    "change",
    [
        {"dated": "1999-12-31"},
        {"dated": "2026-02-30"},
        {"dated": 0},
        {"dated": "2026-01-02T00:00:00"},
        {"label": ""},
        {"label": "deux\nlignes"},
        {"kind": "gift"},
        {"files": ["x"]},
        {"number": 7},
        {"reason": "x" * 2001},
    ],
)
def test_a_line_that_is_not_one_is_refused(works: Works, change: dict[str, Any]) -> None:
    ref = works.work()
    with works.nothing_stored():
        body = {"kind": "commitment", "amount": 1000, "dated": "2026-01-02", "label": "Mâts"}
        answer = works.call("POST", f"{ref}/entries", {**body, **change}, works.treasurer)
        assert code_of(answer) == (422, "invalid")


def test_no_paper_is_of_tomorrow(works: Works) -> None:
    ref = works.work()
    with works.nothing_stored():
        answer = works.spend(ref, "commitment", 1000, dated=tomorrow())
        assert code_of(answer) == (422, "not_a_day")


@pytest.mark.parametrize(
    ("before", "kind", "amount", "code"),
    [
        ([], "commitment", 4_800_001, "over_voted_cost"),
        ([("commitment", 4_000_000)], "commitment", 800_001, "over_voted_cost"),
        ([("commitment", 4_000_000)], "invoice", 4_000_001, "invoiced_over_committed"),
        ([], "invoice", 1, "invoiced_over_committed"),
        ([("commitment", 4_000_000)], "payment", 4_000_001, "paid_over_committed"),
        ([], "payment", 1, "paid_over_committed"),
    ],
)
def test_a_sum_passes_the_one_before_it_only_with_a_published_reason(
    works: Works, before: list[tuple[str, int]], kind: str, amount: int, code: str
) -> None:
    ref = works.work(4_800_000)
    for one in before:
        works.spent(ref, *one)
    for reason in ("", "   "):
        with works.nothing_stored():
            answer = works.spend(ref, kind, amount, reason=reason)
            assert code_of(answer) == (422, code)
            assert answer.json()["errors"][0]["pointer"] == "/reason"
    if amount > 1:
        works.spent(ref, kind, amount - 1)  # as far as it goes
        amount = 1
    works.spent(ref, kind, amount, reason="Révision des prix, avenant n° 1.")
    line = works.get(ref)["ledger"][-1]
    assert (line["amount"], line["reason"]) == (amount, "Révision des prix, avenant n° 1.")


def test_the_balance_goes_below_zero_where_more_was_paid_than_voted(works: Works) -> None:
    ref = works.work(1_000_000)
    works.spent(ref, "payment", 1_500_000, reason="Décision du conseil.")
    assert works.get(ref)["balance"] == -500_000


def test_an_entry_is_taken_back_by_its_mirror_once(works: Works) -> None:
    ref = works.work()
    first = works.spent(ref, "commitment", 4_000_000, document="M-12")
    for reason in ("", "  "):
        with works.nothing_stored():
            assert works.counter(ref, first["id"], reason).status_code == 422
    done = works.counter(ref, first["id"], "Saisie deux fois.")
    assert done.status_code == 201, done.text
    mirror = done.json()
    assert (mirror["amount"], mirror["kind"], mirror["counters"]) == (-4_000_000, "commitment", 1)
    assert (mirror["reason"], mirror["document"]) == ("Saisie deux fois.", "M-12")
    assert sums_of(mirror["sums"]) == (0, 0, 0, 4_800_000)
    lines = works.get(ref)["ledger"]
    assert [(one["number"], one["countered_by"]) for one in lines] == [(1, 2), (2, None)]
    assert works.events(ref)[-1]["payload"]["amount"] == -4_000_000
    other = works.work()
    with works.nothing_stored():
        for entry in (first["id"], mirror["id"]):
            assert code_of(works.counter(ref, entry)) == (409, "already_countered")
        assert code_of(works.counter(ref, str(uuid4()))) == (404, "entry_not_found")
        assert code_of(works.counter(other, first["id"])) == (404, "entry_not_found")


def test_nothing_of_a_ledger_can_be_changed(works: Works) -> None:
    ref = works.work()
    entry = works.spent(ref, "commitment", 1000)["id"]
    for method in ("PATCH", "PUT", "DELETE"):
        answer = works.call(method, f"{ref}/entries/{entry}", {"amount": 1}, works.treasurer)
        assert answer.status_code in (404, 405)
    for statement in (
        "UPDATE ledger SET amount = 1",
        "DELETE FROM ledger",
        "TRUNCATE ledger",
        "UPDATE journal SET note = ''",
        "DELETE FROM journal",
    ):
        with pytest.raises(DBAPIError, match="only ever added"), works.engine.begin() as connection:
            connection.execute(text(statement))
    assert [one["amount"] for one in works.get(ref)["ledger"]] == [1000]


def test_papers_and_photos_belong_to_an_entry(works: Works) -> None:
    ref = works.work()
    paper = works.photo(works.treasurer, "document")
    done = works.spent(ref, "commitment", 1000, files=[paper])
    assert [one["id"] for one in done["files"]] == [paper]
    assert [one["kind"] for one in works.get(ref)["ledger"][0]["files"]] == ["document"]
    with works.nothing_stored():
        answer = works.spend(ref, "commitment", 1000, files=[paper])
        assert code_of(answer) == (422, "unknown_file")


def test_of_two_treasurers_who_saw_the_same_the_second_learns_it(works: Works) -> None:
    ref = works.work()
    seen = works.get(ref)["version"]
    works.spent(ref, "commitment", 1_000_000, seen=seen)
    with works.nothing_stored():
        answer = works.spend(ref, "commitment", 1_000_000, seen=seen)
        assert code_of(answer) == (409, "changed_meanwhile")
    assert answer.json()["committed_now"] == 1_000_000


def test_treasurers_at_once_lose_nothing_and_number_without_a_gap(works: Works) -> None:
    ref = works.work(10**9)
    works.spent(ref, "commitment", 10**9)
    threads, each = 4, 6
    together = Barrier(threads)

    def work(n: int) -> list[int]:
        together.wait()
        return [works.spend(ref, "payment", 1000 + n).status_code for _ in range(each)]

    with ThreadPoolExecutor(threads) as pool:
        codes = [code for found in pool.map(work, range(threads)) for code in found]
    assert codes == [201] * threads * each
    found = works.get(ref)
    assert [line["number"] for line in found["ledger"]] == list(range(1, threads * each + 2))
    paid = each * sum(1000 + n for n in range(threads))
    assert found["paid"] == paid == sum(line["amount"] for line in found["ledger"][1:])
    spent = works.events(ref)[1:]
    assert [one["sequence"] for one in spent] == list(range(2, threads * each + 3))
    assert spent[-1]["payload"]["paid"] == paid


def test_one_entry_is_taken_back_by_one_of_two_at_once(works: Works) -> None:
    ref = works.work()
    entry = works.spent(ref, "commitment", 1000)["id"]
    together = Barrier(2)

    def work(_: int) -> int:
        together.wait()
        return works.counter(ref, entry).status_code

    with ThreadPoolExecutor(2) as pool:
        codes = sorted(pool.map(work, range(2)))
    assert codes == [201, 409]
    assert works.get(ref)["committed"] == 0


AMOUNTS = st.one_of(st.integers(1, 5_000_000), st.integers(1, 10**12))
#: Which work, what, how much; or the how-manieth line of a work to take back.
STEPS = st.lists(
    st.one_of(
        st.tuples(st.integers(0, 2), st.sampled_from(ENTRY_KINDS), AMOUNTS),
        st.tuples(st.integers(0, 2), st.just("counter"), st.integers(0, 12)),
    ),
    max_size=12,
)
_SUMS = """
    SELECT w.ref, coalesce(sum(l.amount) FILTER (WHERE l.kind = 'commitment'), 0) AS committed,
        coalesce(sum(l.amount) FILTER (WHERE l.kind = 'invoice'), 0) AS invoiced,
        coalesce(sum(l.amount) FILTER (WHERE l.kind = 'payment'), 0) AS paid,
        count(l.id) AS lines, coalesce(max(l.number), 0) AS last
    FROM works w LEFT JOIN ledger l ON l.work_id = w.id WHERE w.campaign_id = :campaign
    GROUP BY w.id
"""


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(STEPS)
def test_every_franc_adds_up(works: Works, steps: list[tuple[int, str, int]]) -> None:
    campaign = works.campaign()
    costs = (4_800_000, 2_000_000, 7_300_000)
    envelopes = ("all", "roads", "all")
    refs = works.open(
        campaign,
        *(works.fund(campaign, c, envelope=e) for c, e in zip(costs, envelopes, strict=True)),
    )
    expected: dict[str, dict[str, int]] = {ref: dict.fromkeys(ENTRY_KINDS, 0) for ref in refs}
    lines: dict[str, list[dict[str, Any]]] = {ref: [] for ref in refs}
    taken: set[str] = set()
    for n, what, value in steps:
        ref = refs[n]
        if what == "counter":
            if not lines[ref]:
                continue
            line = lines[ref][value % len(lines[ref])]
            answer = works.counter(ref, line["id"])
            assert answer.status_code == (409 if line["id"] in taken else 201)
            if answer.status_code == 201:
                taken |= {line["id"], answer.json()["id"]}
                expected[ref][line["kind"]] -= line["amount"]
                lines[ref].append(answer.json())
        else:
            lines[ref].append(works.spent(ref, what, value, reason="Expliqué."))
            expected[ref][what] += value

    found = {ref: works.get(ref) for ref in refs}
    counted = {row.pop("ref"): row for row in works.rows(_SUMS, campaign=campaign["id"])}
    for ref, cost in zip(refs, costs, strict=True):
        sums = tuple(expected[ref][kind] for kind in ENTRY_KINDS)
        assert sums_of(found[ref]) == (*sums, cost - expected[ref]["payment"])
        row = counted[ref]
        assert (row["committed"], row["invoiced"], row["paid"]) == sums
        assert row["lines"] == row["last"] == len(lines[ref])

    money = works.client.get(f"/api/v1/campaigns/{campaign['id']}/money").json()
    assert money["budget"] == sum(one["amount"] for one in money["envelopes"])
    for part, rows in [
        (money, list(found.values())),
        *[(e, [found[w["ref"]] for w in e["works"]]) for e in money["envelopes"]],
    ]:
        assert part["voted"] == sum(one["voted_cost"] for one in rows)
        assert sums_of(part) == tuple(sum(sums_of(one)[n] for one in rows) for n in range(4))
        assert part["balance"] == part["voted"] - part["paid"]
        assert part["unspent"] == part.get("amount", money["budget"]) - part["voted"]
    assert money["unspent"] == sum(one["unspent"] for one in money["envelopes"])
    by_name = {one["name"]: [w["ref"] for w in one["works"]] for one in money["envelopes"]}
    assert {name: set(given) for name, given in by_name.items()} == {
        "Voirie": {refs[1]},
        "Toute la commune": {refs[0], refs[2]},
    }
    assert sum(w["paid"] for e in money["envelopes"] for w in e["works"]) == money["paid"]


def test_the_money_of_a_campaign_without_works_is_all_unspent(works: Works) -> None:
    campaign = works.campaign("vote")
    money = works.client.get(f"/api/v1/campaigns/{campaign['id']}/money").json()
    assert (money["voted"], money["unspent"], money["balance"]) == (0, 30_000_000, 0)
    assert [one["works"] for one in money["envelopes"]] == [[], []]
    answer = works.client.get(f"/api/v1/campaigns/{uuid4()}/money")
    assert code_of(answer) == (404, "campaign_not_found")


def test_works_of_before_envelopes_are_counted_too(works: Works) -> None:
    campaign = works.campaign()
    refs = works.open(campaign, works.fund(campaign, 1_000_000), works.fund(campaign, 2_000_000))
    works.execute("UPDATE works SET envelope_id = NULL WHERE ref = :ref", ref=refs[0])
    money = works.client.get(f"/api/v1/campaigns/{campaign['id']}/money").json()
    assert money["voted"] == 3_000_000 == sum(one["voted"] for one in money["envelopes"])
    assert money["unspent"] == sum(one["unspent"] for one in money["envelopes"])
    assert [one["id"] is None for one in money["envelopes"]] == [False, False, True]


def test_a_day_is_of_the_commune_s_calendar(works: Works) -> None:
    """Late on the last day of a month in London it is the first of the next in Cotonou."""
    ref = works.work()
    who = works.principal(works.treasurer)
    body = NewEntry(kind="commitment", amount=1000, dated="2026-03-01", label="Mâts")
    late = datetime(2026, 2, 28, 23, 30, tzinfo=UTC)
    with works.sessions.begin() as session:
        made = service.spend(session, who, ref, body, at=late)
    assert isinstance(made[1], UUID)
    early = datetime(2026, 2, 28, 22, 30, tzinfo=UTC)
    with pytest.raises(NotADay), works.sessions.begin() as session:
        service.spend(session, who, ref, body, at=early)
