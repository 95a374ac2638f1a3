"""Merges: who consents, what happens at the last consent, and how it is undone."""

from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from tests.integration.proposals.merging_world import Merging, Person, pointers, refused
from tests.integration.proposals.world import World

pytestmark = pytest.mark.integration


@pytest.fixture
def merging(world: World) -> Merging:
    return Merging(world)


@pytest.fixture
def campaign(world: World) -> dict[str, Any]:
    return world.campaign()


def test_the_last_consent_merges_and_each_author_writes_on(
    merging: Merging, campaign: dict[str, Any]
) -> None:
    target, first, second = (merging.propose(campaign) for _ in range(3))
    proposed = merging.ok(
        "merges",
        first.author,
        target=target.ref,
        sources=[first.id, second.ref.lower()],
        note="Oui",
    )
    assert (proposed["state"], proposed["by"], proposed["note"]) == ("open", "author", "Oui")
    consents = {part["ref"]: part["consented"] for part in proposed["sources"]}
    assert consents == {first.ref: True, second.ref: False}
    assert not proposed["target"]["consented"]
    assert proposed["may"] == ["refuse"]
    path = f"merges/{proposed['id']}"
    for one in (target, second):
        assert merging.get(path, one.author)["may"] == ["consent", "refuse"]
        asked = merging.get("merges?waiting=true", one.author)["items"]
        assert [merge["id"] for merge in asked] == [proposed["id"]]
    assert merging.get("merges?waiting=true", first.author)["items"] == []

    assert merging.ok(f"{path}/consent", second.author, agree=True)["state"] == "open"
    assert merging.row(first)["status"] == "submitted"
    done = merging.ok(f"{path}/consent", target.author, agree=True)
    assert (done["state"], done["may"]) == ("done", [])
    for one in (first, second):
        row = merging.row(one)
        assert (row["status"], str(row["merged_into"])) == ("merged", target.id)
        assert row["status_before_merge"] == "submitted"
        assert merging.told(one) == ["submitted", "merged"]
        said = merging.world.events(one.id)[-1]["payload"]
        assert (said["into"], said["into_ref"]) == (target.id, target.ref)
    assert merging.authors(target) == {one.author.id for one in (target, first, second)}
    assert merging.told(target) == ["submitted"]
    detail = merging.get(f"proposals/{target.id}", first.author)
    assert detail["mine"]
    assert {one["ref"] for one in detail["merged"]} == {first.ref, second.ref}
    assert merging.get(f"proposals/{first.ref}")["merged_into"]["ref"] == target.ref


def test_nobody_is_named_by_a_merge(merging: Merging, campaign: dict[str, Any]) -> None:
    target, source = merging.propose(campaign), merging.propose(campaign)
    merge = merging.merge(target, source)
    public = str(merging.get(f"merges/{merge['id']}")) + str(
        merging.get(f"merges?campaign={campaign['id']}")
    )
    public += str(merging.world.rows("SELECT * FROM outbox"))
    for person in (target.author, source.author):
        assert str(person.id) not in public


def test_reports_of_the_sources_join_as_far_as_there_is_room(
    merging: Merging, campaign: dict[str, Any]
) -> None:
    ids = [str(uuid4()) for _ in range(30)]
    target = merging.propose(campaign, reports=ids[:10])
    first = merging.propose(campaign, reports=ids[8:16])
    second = merging.propose(campaign, reports=ids[14:30])
    merge = merging.merge(target, first, second)
    held = [str(one) for one in merging.row(target)["reports"]]
    assert held[:10] == ids[:10]
    assert (len(held), len(set(held))) == (20, 20)
    assert set(held) <= set(ids)
    assert merge["reports_left_out"] == 10
    assert merging.told(target) == ["submitted", "revised"]
    said = merging.world.events(target.id)[-1]["payload"]
    assert (said["reports"], said["changed"], said["revision"]) == (held, ["reports"], 1)
    came = [
        report
        for one in (first, second)
        for report in merging.world.events(one.id)[-1]["payload"]["reports"]
    ]
    assert sorted(came) == sorted(held[10:])


def test_endorsements_are_carried_over_only_when_confirmed(
    merging: Merging, campaign: dict[str, Any]
) -> None:
    target, source = merging.propose(campaign), merging.propose(campaign)
    awa, bio, coffi, dossi = (merging.person() for _ in range(4))
    merging.endorse(source, awa, bio, coffi)
    merging.endorse(target, coffi, dossi)
    merge = merging.merge(target, source)
    assert merging.endorsers(target) == {coffi.id, dossi.id}
    assert [merging.get("endorsement-offers", one)["items"] for one in (coffi, dossi)] == [[], []]
    for one in (awa, bio):
        (offer,) = merging.get("endorsement-offers", one)["items"]
        assert (offer["merge"], offer["source"]["ref"]) == (merge["id"], source.ref)
        assert offer["target"]["ref"] == target.ref
    path = f"endorsement-offers/{merge['id']}"
    for _ in range(2):
        answered = merging.ok(path, awa, confirm=True)
        assert answered == {"answer": "confirmed", "endorsements": 3}
    assert merging.ok(path, bio, confirm=False) == {"answer": "declined", "endorsements": 3}
    refused(merging.post(path, bio, confirm=True), 409, "already_answered")
    refused(merging.post(path, dossi, confirm=True), 404, "offer_not_found")
    refused(merging.post(path, None, confirm=True), 401, "unauthenticated")
    assert merging.endorsers(target) == {awa.id, coffi.id, dossi.id}
    assert merging.endorsers(source) == {awa.id, bio.id, coffi.id}
    assert merging.get("endorsement-offers", awa)["items"] == []


def test_who_endorses_the_target_meanwhile_is_counted_once(
    merging: Merging, campaign: dict[str, Any]
) -> None:
    target, source = merging.propose(campaign), merging.propose(campaign)
    awa = merging.person()
    merging.endorse(source, awa)
    merge = merging.merge(target, source)
    merging.endorse(target, awa)
    assert merging.get("endorsement-offers", awa)["items"] == []
    answered = merging.ok(f"endorsement-offers/{merge['id']}", awa, confirm=True)
    assert answered["endorsements"] == 1
    merging.ok(f"merges/{merge['id']}/undo", source.author, reason="Séparés.")
    assert merging.endorsers(target) == {awa.id}


def test_the_endorsements_asked_for_are_reached_once_by_confirmations(merging: Merging) -> None:
    campaign = merging.world.campaign(endorsements_needed=2)
    target, source = merging.propose(campaign), merging.propose(campaign)
    people = [merging.person() for _ in range(3)]
    merging.endorse(source, people[0])
    merging.endorse(target, merging.person())
    more = merging.propose(campaign)
    merging.endorse(more, *people[1:])
    merge, other = merging.merge(target, source), merging.merge(target, more)
    assert merging.told(target) == ["submitted"]
    merging.ok(f"endorsement-offers/{merge['id']}", people[0], confirm=True)
    assert merging.told(target) == ["submitted", "threshold_reached"]
    assert merging.world.events(target.id)[-1]["payload"]["endorsements"] == 2
    merging.ok(f"endorsement-offers/{other['id']}", people[1], confirm=True)
    assert merging.told(target) == ["submitted", "threshold_reached"]


def test_a_refusal_ends_it(merging: Merging, campaign: dict[str, Any]) -> None:
    target, source = merging.propose(campaign), merging.propose(campaign)
    body = {"target": target.id, "sources": [source.id]}
    merge = merging.ok("merges", target.author, **body)
    path = f"merges/{merge['id']}/consent"
    assert merging.ok(path, source.author, agree=False)["state"] == "refused"
    with merging.untouched(target, source):
        for who in (source.author, target.author):
            found = refused(merging.post(path, who, agree=True), 409, "merge_closed")
            assert found["state_now"] == "refused"
    assert merging.told(source) == ["submitted"]
    assert merging.ok("merges", source.author, **body)["state"] == "open"


def test_what_one_speaks_for_consents_at_once(merging: Merging, campaign: dict[str, Any]) -> None:
    author = merging.person()
    target, source = merging.propose(campaign, author), merging.propose(campaign, author)
    merged = merging.ok("merges", author, target=target.id, sources=[source.id])
    assert (merged["state"], merged["may"]) == ("done", ["undo"])
    assert merging.authors(target) == {author.id}


def test_the_mairie_speaks_for_what_came_on_paper_alone(
    merging: Merging, campaign: dict[str, Any]
) -> None:
    agent, other = merging.agent(), merging.agent()
    paper = [merging.propose(campaign, agent, origin="paper") for _ in range(2)]
    merged = merging.ok("merges", other, target=paper[0].id, sources=[paper[1].id])
    assert (merged["state"], merged["by"]) == ("done", "agent")

    citizen = merging.propose(campaign)
    asked = merging.ok("merges", other, target=citizen.id, sources=[paper[0].id])
    assert (asked["state"], asked["target"]["consented"]) == ("open", False)
    path = f"merges/{asked['id']}/consent"
    assert merging.ok(path, other, agree=True)["state"] == "open"
    assert merging.ok(path, citizen.author, agree=True)["state"] == "done"
    assert merging.authors(citizen) == {citizen.author.id}


def test_strangers_and_other_communes_merge_nothing(
    merging: Merging, campaign: dict[str, Any]
) -> None:
    target, source = merging.propose(campaign), merging.propose(campaign)
    body = {"target": target.id, "sources": [source.id]}
    others = [merging.person(), merging.person("campaigns.manage", commune="0405")]
    with merging.untouched(target, source):
        refused(merging.post("merges", None, **body), 401, "unauthenticated")
        for one in others:
            refused(merging.post("merges", one, **body), 403, "forbidden")
    merge = merging.ok("merges", target.author, **body)
    with merging.untouched(target, source):
        for one in (*others, merging.person("proposals.review")):
            for agree in (True, False):
                refused(
                    merging.post(f"merges/{merge['id']}/consent", one, agree=agree),
                    403,
                    "forbidden",
                )
        refused(
            merging.post(f"merges/{uuid4()}/consent", others[0], agree=True), 404, "merge_not_found"
        )


def test_across_campaigns_nothing_is_merged(merging: Merging, campaign: dict[str, Any]) -> None:
    author = merging.person()
    here = merging.propose(campaign, author)
    there = merging.propose(merging.world.campaign(), author)
    beside = merging.propose(campaign, author)
    with merging.untouched(here, there, beside):
        answer = merging.post("merges", author, target=here.id, sources=[beside.id, there.ref])
        refused(answer, 422, "other_campaign")
        assert pointers(answer) == ["/sources/1"]


@pytest.mark.parametrize(
    ("target", "sources", "code", "pointer"),
    [
        ("self", ["self"], "invalid", "/sources"),
        ("self", ["other", "OTHER"], "invalid", "/sources"),
        ("self", [], "invalid", "/sources"),
        ("self", ["other"] * 11, "invalid", "/sources"),
        ("P-222222", ["other"], "unknown_proposal", "/target"),
        ("self", ["other", "' OR 1=1 --"], "unknown_proposal", "/sources/1"),
        ("self", ["x" * 41], "invalid", "/sources/0"),
        ("self", [7], "invalid", "/sources/0"),
        ("self", ["draft"], "unknown_proposal", "/sources/0"),
    ],
)
def test_bad_parts_are_refused(
    merging: Merging,
    campaign: dict[str, Any],
    target: str,
    sources: list[Any],
    code: str,
    pointer: str,
) -> None:
    made, other = merging.propose(campaign), merging.propose(campaign)
    draft = merging.world.begin(campaign, merging.person().headers)
    names = {"self": made.id, "other": other.id, "OTHER": other.ref, "draft": draft["id"]}
    body = {"target": names.get(target, target), "sources": [names.get(s, s) for s in sources]}
    with merging.untouched(made, other):
        answer = merging.post("merges", made.author, **body)
        refused(answer, 422, code)
        assert pointers(answer) == [pointer]


def test_only_what_waits_for_its_review_is_merged(
    merging: Merging, campaign: dict[str, Any]
) -> None:
    target, source, gone = (merging.propose(campaign) for _ in range(3))
    merging.ok(f"proposals/{gone.id}/withdraw", gone.author, reason="Doublon.")
    with merging.untouched(target, gone):
        found = refused(
            merging.post("merges", target.author, target=target.id, sources=[gone.id]),
            409,
            "not_mergeable",
        )
        assert (found["proposal"], found["status_now"]) == (gone.ref, "withdrawn")
    merge = merging.ok("merges", target.author, target=target.id, sources=[source.id])
    merging.world.review(source.id)
    with merging.untouched(target, source):
        refused(
            merging.post(f"merges/{merge['id']}/consent", source.author, agree=True),
            409,
            "not_mergeable",
        )


def test_a_proposal_is_in_one_open_merge(merging: Merging, campaign: dict[str, Any]) -> None:
    first, second, third = (merging.propose(campaign) for _ in range(3))
    open_ = merging.ok("merges", first.author, target=first.id, sources=[second.id])
    with merging.untouched(second, third):
        found = refused(
            merging.post("merges", third.author, target=third.id, sources=[second.id]),
            409,
            "already_merging",
        )
    assert found["merge"] == open_["id"]


def test_an_open_merge_that_lost_a_part_holds_its_others_no_more(
    merging: Merging, campaign: dict[str, Any]
) -> None:
    first, second, third, fourth = (merging.propose(campaign) for _ in range(4))
    stale = merging.ok("merges", first.author, target=first.id, sources=[second.id, third.id])
    merging.ok(f"proposals/{third.id}/withdraw", third.author)
    merge = merging.merge(fourth, second)
    assert merging.get(f"merges/{merge['id']}")["state"] == "done"
    found = merging.ok(f"merges/{stale['id']}/consent", second.author, agree=False)
    assert found["state"] == "refused"


def test_an_open_merge_is_refused_in_every_phase(merging: Merging) -> None:
    campaign = merging.world.campaign()
    merging.world.review(merging.propose(campaign).id)
    made = [merging.propose(campaign) for _ in range(6)]
    merges = [
        merging.ok("merges", made[i].author, target=made[i].id, sources=[made[i + 1].id])["id"]
        for i in (0, 2, 4)
    ]
    merging.world.enter(campaign["id"], "vote", merging.world.agent())
    people = (made[1].author, made[2].author, merging.agent())
    for merge, who in zip(merges, people, strict=True):
        assert merging.get(f"merges/{merge}", who)["may"] == ["refuse"]
        refused(merging.post(f"merges/{merge}/consent", who, agree=True), 409, "wrong_phase")
        found = merging.ok(f"merges/{merge}/consent", who, agree=False)
        assert (found["state"], found["may"]) == ("refused", [])


@pytest.mark.parametrize("lost", ["withdrawn", "hidden", "shortlisted"])
def test_sources_stand_by_themselves_when_their_target_is_gone(
    merging: Merging, campaign: dict[str, Any], lost: str
) -> None:
    reports = [str(uuid4()) for _ in range(2)]
    target = merging.propose(campaign, reports=reports[:1])
    source = merging.propose(campaign, reports=reports[1:])
    awa = merging.person()
    merging.endorse(source, awa)
    merge = merging.merge(target, source)
    merging.ok(f"endorsement-offers/{merge['id']}", awa, confirm=True)
    if lost == "withdrawn":
        merging.ok(f"proposals/{target.id}/withdraw", target.author)
    elif lost == "hidden":
        body = {"subject": "proposal", "id": target.id, "action": "hide"}
        merging.ok("moderation", merging.agent(), **body, reason="spam", note="Publicité.")
    else:
        merging.world.review(target.id)
    path = f"merges/{merge['id']}/undo"
    may = merging.get(f"merges/{merge['id']}", source.author)["may"]
    if lost == "shortlisted":
        assert may == []
        with merging.untouched(target, source):
            refused(merging.post(path, source.author, reason="Non."), 409, "not_mergeable")
        return
    assert may == ["undo"]
    assert merging.ok(path, source.author, reason="La cible n'est plus.")["state"] == "undone"
    row = merging.row(source)
    assert (row["status"], row["merged_into"]) == ("submitted", None)
    assert merging.authors(target) == {target.author.id}
    assert (merging.endorsers(target), merging.endorsers(source)) == (set(), {awa.id})
    assert [str(one) for one in merging.row(target)["reports"]] == reports[:1]
    assert merging.told(source) == ["submitted", "merged", "unmerged"]
    assert merging.told(target)[-1] == "revised"
    assert merging.row(target)["status"] == ("withdrawn" if lost == "withdrawn" else "submitted")


def test_after_the_freeze_nothing_is_merged_or_parted(merging: Merging) -> None:
    campaign = merging.world.campaign()
    merging.world.review(merging.propose(campaign).id)
    made = [merging.propose(campaign) for _ in range(6)]
    done = merging.merge(made[0], made[1])
    waiting = merging.ok("merges", made[2].author, target=made[2].id, sources=[made[3].id])
    awa = merging.person()
    merging.endorse(made[3], awa)
    merging.world.enter(campaign["id"], "vote", merging.world.agent())
    tries: list[tuple[str, Person, dict[str, Any]]] = [
        ("merges", made[4].author, {"target": made[4].id, "sources": [made[5].id]}),
        (f"merges/{waiting['id']}/consent", made[3].author, {"agree": True}),
        (f"merges/{done['id']}/undo", made[1].author, {"reason": "Non."}),
        (
            f"proposals/{made[4].id}/amendments",
            awa,
            {"changes": {"title": "Autre"}, "note": "Mieux."},
        ),
    ]
    with merging.untouched(*made):
        for path, who, body in tries:
            refused(merging.post(path, who, **body), 409, "wrong_phase")
    assert merging.get(f"merges/{waiting['id']}", made[3].author)["may"] == ["refuse"]


def test_an_unmerged_proposal_stands_as_before(merging: Merging, campaign: dict[str, Any]) -> None:
    ids = [str(uuid4()) for _ in range(6)]
    target = merging.propose(campaign, reports=ids[:2])
    first = merging.propose(campaign, reports=ids[1:4])
    second = merging.propose(campaign, reports=ids[3:6])
    awa, bio, coffi = (merging.person() for _ in range(3))
    merging.endorse(first, awa, bio)
    merging.endorse(second, coffi)
    merge, other = merging.merge(target, first), merging.merge(target, second)
    assert [str(one) for one in merging.row(target)["reports"]] == ids
    merging.ok(f"endorsement-offers/{merge['id']}", awa, confirm=True)
    merging.ok(f"endorsement-offers/{other['id']}", coffi, confirm=True)

    path = f"merges/{merge['id']}/undo"
    with merging.untouched(target, first, second):
        refused(merging.post(path, first.author, reason=" "), 422, "invalid")
        refused(merging.post(path, first.author, reason="\u200b"), 422, "invalid")
        refused(merging.post(path, first.author), 422, "invalid")
        refused(merging.post(path, target.author, reason="Non."), 403, "forbidden")
        refused(merging.post(path, second.author, reason="Non."), 403, "forbidden")
        refused(merging.post(path, awa, reason="Non."), 403, "forbidden")
    undone = merging.ok(path, first.author, reason="Deux lieux différents.")
    assert (undone["state"], undone["undone_reason"]) == ("undone", "Deux lieux différents.")
    row = merging.row(first)
    assert (row["status"], row["merged_into"], row["status_before_merge"]) == (
        "submitted",
        None,
        None,
    )
    assert merging.authors(target) == {target.author.id, second.author.id}
    assert merging.endorsers(target) == {coffi.id}
    assert merging.endorsers(first) == {awa.id, bio.id}
    assert merging.get("endorsement-offers", bio)["items"] == []
    refused(
        merging.post(f"endorsement-offers/{merge['id']}", bio, confirm=True),
        404,
        "offer_not_found",
    )
    # ids[1] is the target's own, ids[3] the other source's too.
    assert [str(one) for one in merging.row(target)["reports"]] == [*ids[:2], *ids[3:]]
    assert merging.told(first) == ["submitted", "merged", "unmerged"]
    assert merging.told(target) == ["submitted", "revised", "revised", "revised"]
    refused(merging.post(path, first.author, reason="Encore."), 409, "merge_closed")

    merging.ok(f"merges/{other['id']}/undo", merging.agent(), reason="À la demande.")
    assert [str(one) for one in merging.row(target)["reports"]] == ids[:2]
    assert merging.endorsers(target) == set()
    assert merging.authors(target) == {target.author.id}


def test_who_came_with_two_merges_stays_until_both_are_undone(
    merging: Merging, campaign: dict[str, Any]
) -> None:
    author, awa = merging.person(), merging.person()
    target = merging.propose(campaign)
    sources = [merging.propose(campaign, author) for _ in range(2)]
    for one in sources:
        merging.endorse(one, awa)
    merges = [merging.merge(target, one) for one in sources]
    assert len(merging.get("endorsement-offers", awa)["items"]) == 2
    merging.ok(f"endorsement-offers/{merges[0]['id']}", awa, confirm=True)
    assert merging.get("endorsement-offers", awa)["items"] == []
    merging.ok(f"merges/{merges[0]['id']}/undo", author, reason="Un.")
    assert merging.authors(target) == {target.author.id, author.id}
    assert merging.endorsers(target) == {awa.id}
    merging.ok(f"merges/{merges[1]['id']}/undo", author, reason="Deux.")
    assert merging.authors(target) == {target.author.id}
    assert merging.endorsers(target) == set()


def test_lineage_goes_through_chains_and_never_in_circles(
    merging: Merging, campaign: dict[str, Any]
) -> None:
    low, middle, top = (merging.propose(campaign) for _ in range(3))
    awa = merging.person()
    merging.endorse(low, awa)
    first = merging.merge(middle, low)
    second = merging.merge(top, middle)
    assert merging.authors(top) == {one.author.id for one in (low, middle, top)}
    with merging.untouched(low, middle, top):
        refused(
            merging.post("merges", top.author, target=low.id, sources=[top.id]),
            409,
            "not_mergeable",
        )
        refused(
            merging.post(f"merges/{first['id']}/undo", low.author, reason="Non."),
            409,
            "not_mergeable",
        )
    up, down, between = (merging.get(f"proposals/{one.id}") for one in (low, top, middle))
    assert [one["ref"] for one in up["chain"]] == [middle.ref, top.ref]
    assert (up["merged_into"]["ref"], up["merged"]) == (middle.ref, [])
    assert (down["merged_into"], [one["ref"] for one in down["merged"]]) == (
        None,
        [middle.ref, low.ref],
    )
    assert (between["merged_into"]["ref"], between["merged"][0]["ref"]) == (top.ref, low.ref)

    (offer,) = merging.get("endorsement-offers", awa)["items"]
    assert (offer["source"]["ref"], offer["target"]["ref"]) == (middle.ref, top.ref)
    merging.ok(f"endorsement-offers/{second['id']}", awa, confirm=True)
    assert merging.endorsers(top) == {awa.id}
    merging.ok(f"merges/{second['id']}/undo", middle.author, reason="Trop loin.")
    assert merging.endorsers(top) == set()
    assert merging.authors(top) == {top.author.id}
    (offer,) = merging.get("endorsement-offers", awa)["items"]
    assert offer["target"]["ref"] == middle.ref
    merging.ok(f"merges/{first['id']}/undo", low.author, reason="Aussi.")
    assert merging.row(low)["status"] == "submitted"


def test_merges_are_listed_by_pages_and_filters(merging: Merging) -> None:
    campaign = merging.world.campaign()
    author = merging.person()
    made = [merging.propose(campaign, author) for _ in range(6)]
    ids = [merging.merge(made[i], made[i + 1])["id"] for i in (0, 2, 4)]
    merging.ok(f"merges/{ids[0]}/undo", author, reason="Non.")
    url: str | None = f"merges?campaign={campaign['id']}&limit=2"
    seen: list[str] = []
    while url:
        page = merging.get(url.removeprefix("/api/v1/"))
        seen += [one["id"] for one in page["items"]]
        url = page["next"]
    assert seen == ids[::-1]
    for query, expected in (
        (f"proposal={made[3].ref}", ids[1:2]),
        (f"campaign={campaign['id']}&state=undone", ids[:1]),
        (f"campaign={uuid4()}", []),
    ):
        assert [one["id"] for one in merging.get(f"merges?{query}")["items"]] == expected
    for query, status in (("state=x", 422), ("waiting=true", 401), ("proposal=P-222222", 404)):
        assert merging.world.client.get(f"/api/v1/merges?{query}").status_code == status


def test_a_hidden_proposal_shows_no_title_and_is_not_merged(
    merging: Merging, campaign: dict[str, Any]
) -> None:
    target, source, third = (merging.propose(campaign) for _ in range(3))
    merge = merging.merge(target, source)
    with merging.world.engine.begin() as connection:
        for one in (source, third):
            connection.execute(
                text("UPDATE proposals SET hidden_at = now() WHERE id = :id"), {"id": one.id}
            )
    shown = merging.get(f"merges/{merge['id']}")
    assert (shown["sources"][0]["title"], shown["sources"][0]["ref"]) == (None, source.ref)
    refused(
        merging.post("merges", third.author, target=target.id, sources=[third.id]),
        409,
        "not_mergeable",
    )
    answer = merging.post("merges", target.author, target=target.id, sources=[third.id])
    refused(answer, 422, "unknown_proposal")


def test_the_same_merge_twice_is_stored_once(merging: Merging, campaign: dict[str, Any]) -> None:
    target, source = merging.propose(campaign), merging.propose(campaign)
    who = Person(target.author.id, {**target.author.headers, "Idempotency-Key": str(uuid4())})
    body = {"target": target.id, "sources": [source.id]}
    first = merging.post("merges", who, **body)
    with merging.untouched(target, source):
        again = merging.post("merges", who, **body)
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["location"] == f"/api/v1/merges/{first.json()['id']}"
