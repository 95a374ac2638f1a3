"""Reports of abuse, the mairie's queue, decisions, appeals, and what the public learns of them."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy.exc import DBAPIError

from services.proposals.discussion import domain
from tests.integration.proposals.talking import Person, Proposed, Talk, refused
from tests.integration.proposals.world import World

pytestmark = pytest.mark.integration

WORDS = "Ce maire est un voleur, son numéro : 97 00 00 00"


@pytest.fixture
def talk(world: World) -> Talk:
    return Talk(world)


@pytest.fixture
def commune(talk: Talk) -> str:
    """Return a commune in which nothing waits."""
    for code in ("0101", "0102", "0103", "0104", "0105", "0106", "0201", "0202", "0203", "0204"):
        if not talk.world.rows("SELECT 1 FROM campaigns WHERE commune = :code", code=code):
            return code
    raise AssertionError("every commune is taken")


def hidden_comment(talk: Talk, agent: Person) -> tuple[Proposed, Person, str]:
    made, awa = talk.proposal(), talk.person()
    said = talk.comment(made, awa, WORDS, name="Awa", stance="against")
    talk.hide(agent, "comment", said)
    return made, awa, said


@pytest.mark.parametrize("reason", domain.REASONS)
@pytest.mark.parametrize("subject", ["proposal", "comment"])
def test_a_person_reports_a_subject_once(talk: Talk, subject: str, reason: str) -> None:
    made, bio = talk.proposal(), talk.person()
    one = str(made.id) if subject == "proposal" else talk.comment(made)
    body = {"subject": subject, "id": one, "reason": reason, "note": "Voyez la fin."}
    answer = talk.post("abuse-reports", bio, body)
    assert answer.status_code == 201
    assert answer.json() == {
        "id": answer.json()["id"],
        "subject": subject,
        "subject_id": one,
        "reason": reason,
    }
    with talk.nothing_stored():
        refused(talk.post("abuse-reports", bio, body), 409, "already_reported")
        refused(
            talk.post("abuse-reports", bio, {**body, "reason": "other"}), 409, "already_reported"
        )
    assert talk.said(made) == ([] if subject == "proposal" else talk.said(made)[:1])


@pytest.mark.parametrize(
    "changes",
    [
        {"reason": "ugly"},
        {"subject": "campaign"},
        {"note": "x" * 1001},
        {"note": "\u0000"},
        {"id": "P-222222"},
        {"reason": None},
    ],
)
def test_reports_that_break_a_rule_are_refused(talk: Talk, changes: dict[str, Any]) -> None:
    body = {"subject": "proposal", "id": str(talk.proposal().id), "reason": "spam", **changes}
    with talk.nothing_stored():
        refused(talk.post("abuse-reports", talk.person(), body), 422, "invalid")


def test_only_what_can_be_read_and_is_not_ones_own_is_reported(talk: Talk) -> None:
    agent, awa = talk.agent(), talk.person()
    made, draft, unseen = talk.proposal(), talk.proposal(status="draft"), talk.proposal()
    said, hidden = talk.comment(made, awa), talk.comment(made)
    below = talk.comment(unseen)
    talk.hide(agent, "comment", hidden)
    talk.hide(agent, "proposal", unseen.id)
    with talk.nothing_stored():
        for who, subject, one, status, code in (
            (awa, "comment", said, 409, "own_words"),
            (made.author, "proposal", made.id, 409, "own_words"),
            (awa, "comment", hidden, 409, "comment_closed"),
            (awa, "comment", below, 404, "proposal_not_found"),
            (awa, "proposal", unseen.id, 404, "proposal_not_found"),
            (agent, "proposal", unseen.id, 409, "not_open"),
            (awa, "proposal", draft.id, 404, "proposal_not_found"),
            (awa, "proposal", uuid4(), 404, "proposal_not_found"),
            (awa, "comment", made.id, 404, "comment_not_found"),
            (None, "proposal", made.id, 401, "unauthenticated"),
        ):
            body = {"subject": subject, "id": str(one), "reason": "spam"}
            refused(talk.post("abuse-reports", who, body), status, code)


@pytest.mark.parametrize("subject", ["proposal", "comment"])
def test_what_the_mairie_handled_can_be_reported_again(
    talk: Talk, commune: str, subject: str
) -> None:
    agent, made, bio = talk.agent(commune), talk.proposal(commune=commune), talk.person()
    one = str(made.id) if subject == "proposal" else talk.comment(made)
    body = {"subject": subject, "id": one, "reason": "spam"}
    for _ in range(2):
        assert talk.post("abuse-reports", bio, body).status_code == 201
        refused(talk.post("abuse-reports", bio, body), 409, "already_reported")
        assert talk.queue(agent, commune)["items"][0]["reports"] == 1
        assert talk.decide(agent, "keep", subject, one).status_code == 200
    assert talk.queue(agent, commune)["items"] == []


def test_an_hour_holds_twenty_reports_of_one_person(talk: Talk) -> None:
    made, bio = talk.proposal(), talk.person()
    for _ in range(domain.ABUSE_REPORTS_PER_HOUR):
        body = {"subject": "comment", "id": talk.comment(made), "reason": "spam"}
        assert talk.post("abuse-reports", bio, body).status_code == 201
    last = {"subject": "comment", "id": talk.comment(made), "reason": "spam"}
    with talk.nothing_stored():
        refused(talk.post("abuse-reports", bio, last), 429, "too_many")


def test_the_queue_shows_what_harms_first_then_what_waits_longest(talk: Talk, commune: str) -> None:
    agent = talk.agent(commune)
    made = talk.proposal(commune=commune)
    spam, off, insult = (talk.comment(made, body=f"Mots {i}", name="Bio") for i in range(3))
    talk.report("comment", spam, "spam", "Publicité.")
    talk.report("comment", off, "off_topic")
    talk.report("comment", insult, "insult", "Regardez.")
    talk.report("comment", insult, "other", "Et encore.")
    talk.report("proposal", made.id, "off_topic")
    items = talk.queue(agent, commune)["items"]
    assert [one["id"] for one in items] == [insult, spam, off, str(made.id)]
    first, last = items[0], items[-1]
    assert (first["reports"], first["reasons"]) == (2, {"insult": 1, "other": 1})
    assert (first["notes"], first["urgent"]) == (["Regardez.", "Et encore."], True)
    assert (first["words"], first["name"], first["ref"]) == ("Mots 2", "Bio", made.ref)
    assert (first["may"], first["seen"], first["last"]) == (["hide", "keep"], 0, None)
    assert last["words"] == "Six lampadaires\n\nOn ne voit rien."

    url: str | None = f"/api/v1/moderation?commune={commune}&limit=1"
    seen = []
    while url:
        page = talk.world.client.get(url, headers=agent.headers).json()
        seen += [one["id"] for one in page["items"]]
        url = page["next"]
    assert seen == [one["id"] for one in items]

    assert talk.decide(agent, "keep", "comment", insult).status_code == 200
    talk.hide(agent, "comment", spam)
    assert [one["id"] for one in talk.queue(agent, commune)["items"]] == [off, str(made.id)]


def test_the_queue_and_its_decisions_are_the_communes_agents(talk: Talk) -> None:
    made = talk.proposal()
    said = talk.comment(made)
    talk.report("comment", said)
    reviewer = talk.person({"0801": ["proposals.review"]})
    with talk.nothing_stored():
        for who in (talk.person(), talk.agent("0405"), made.author, reviewer):
            refused(talk.get("moderation?commune=0801", who), 403, "forbidden")
            for subject, one in (("comment", said), ("proposal", made.id)):
                refused(talk.decide(who, "hide", subject, one), 403, "forbidden")
        refused(talk.get("moderation?commune=0801"), 401, "unauthenticated")
        refused(talk.get("moderation", talk.agent()), 422, "invalid")
        refused(talk.get("moderation?commune=0801&cursor=x", talk.agent()), 422, "invalid")


@pytest.mark.parametrize("note", ["", "  ", "\u200b", "x" * 1001])
def test_nothing_is_decided_without_a_reason_and_a_note(talk: Talk, note: str) -> None:
    made = talk.proposal()
    said = talk.comment(made)
    with talk.nothing_stored():
        refused(talk.decide(talk.agent(), "hide", "comment", said, note=note), 422, "invalid")
        answer = talk.decide(talk.agent(), "hide", "comment", said, reason="dislike")
        refused(answer, 422, "invalid")
        refused(talk.decide(talk.agent(), "delete", "comment", said), 422, "invalid")


def test_a_hidden_comment_keeps_its_place_and_says_why(talk: Talk) -> None:
    agent = talk.agent()
    made, awa, said = hidden_comment(talk, agent)
    page = talk.comments(made, talk.person())
    shown = page["items"][0]
    assert (shown["id"], shown["body"], shown["name"]) == (said, "", "")
    assert (shown["stance"], page["stances"]["against"]) == ("neutral", 0)
    assert shown["hidden"] == {
        "reason": "insult",
        "note": "Contraire à la charte.",
        "at": shown["hidden"]["at"],
        "appealed": False,
    }
    assert "97 00" not in talk.get(f"proposals/{made.id}/comments").text
    for who in (awa, agent):
        assert talk.comments(made, who)["items"][0]["body"] == WORDS
    assert [data["comments"] for _, data in talk.said(made)] == [1, 0]
    assert (page["comments"], talk.row(made)["comments"]) == (0, 0)

    answer = talk.decide(agent, "show", "comment", said, note="À tort.")
    assert (answer.json()["hidden"], answer.json()["seen"]) == (False, 2)
    assert talk.comments(made)["items"][0]["body"] == WORDS
    assert talk.comments(made)["items"][0]["hidden"] is None
    assert [data["comments"] for _, data in talk.said(made)] == [1, 0, 1]


def test_a_hidden_proposal_is_its_authors_and_the_agents(talk: Talk) -> None:
    agent, made = talk.agent(), talk.proposal()
    talk.comment(made)
    talk.hide(agent, "proposal", made.id)
    assert talk.row(made)["hidden_at"] is not None
    for path in (f"proposals/{made.id}/comments", f"proposals/{made.ref}/comments"):
        for who in (None, talk.person(), talk.agent("0405")):
            refused(talk.get(path, who), 404, "proposal_not_found")
        for reader in (made.author, agent):
            assert talk.get(path, reader).status_code == 200
    assert talk.said(made)[-1] == (
        "visibility_changed",
        {
            "id": str(made.id),
            "ref": made.ref,
            "campaign": str(made.campaign),
            "commune": "0801",
            "visible": False,
        },
    )
    assert talk.decide(agent, "show", "proposal", made.id).status_code == 200
    assert talk.row(made)["hidden_at"] is None
    assert talk.said(made)[-1][1]["visible"] is True
    assert talk.get(f"proposals/{made.id}/comments").status_code == 200


def test_the_public_reads_what_was_done_when_and_why_but_no_words(talk: Talk) -> None:
    agent = talk.agent()
    made, awa, said = hidden_comment(talk, agent)
    kept = talk.comment(made)
    talk.report("comment", kept, note="Un mot privé")
    talk.decide(agent, "keep", "comment", kept, reason="off_topic", note="C'est le sujet.")
    talk.appeal(awa, "comment", said)
    talk.answer(talk.agent(), "uphold", "comment", said)
    talk.hide(agent, "proposal", made.id)
    lines = talk.log(made)
    assert [(one["action"], one["subject"], one["id"]) for one in lines] == [
        ("hide", "proposal", str(made.id)),
        ("uphold", "comment", said),
        ("appeal", "comment", said),
        ("keep", "comment", kept),
        ("hide", "comment", said),
    ]
    assert [(one["reason"], one["note"]) for one in lines] == [
        ("insult", "Contraire à la charte."),
        ("insult", "Revu."),
        ("insult", ""),
        ("off_topic", "C'est le sujet."),
        ("insult", "Contraire à la charte."),
    ]
    text = talk.get(f"proposals/{made.ref}/moderation").text
    people = [person.id for person in talk.people]
    for secret in ("97 00", "Awa", "lampadaires", "Un mot", "pas une insulte", *map(str, people)):
        assert secret not in text
    assert talk.get(f"proposals/{made.id}/moderation").json()["hidden"] is True
    draft = talk.proposal(status="draft")
    for key in (draft.id, "P-222222"):
        refused(talk.get(f"proposals/{key}/moderation", draft.author), 404, "proposal_not_found")


def test_of_two_agents_at_once_the_second_learns_what_was_decided(talk: Talk) -> None:
    made = talk.proposal()
    said = talk.comment(made)
    talk.report("comment", said)
    agents = [talk.agent() for _ in range(4)]

    def decide(turn: int) -> Any:
        action = ("hide", "keep")[turn % 2]
        return talk.decide(agents[turn], action, "comment", said, seen=0, note=f"Agent {turn}.")

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(decide, range(4)))
    won = [answer for answer in answers if answer.status_code == 200]
    assert len(won) == 1
    for answer in answers:
        if answer is not won[0]:
            found = refused(answer, 409, "changed_meanwhile")
            assert found["action_now"] == won[0].json()["action"]
            assert found["note_now"] == won[0].json()["note"]
            assert (found["seen_now"], found["reason_now"]) == (1, "insult")
    assert len(talk.log(made)) == 1


@pytest.mark.parametrize("subject", ["proposal", "comment"])
def test_what_was_decided_cannot_be_decided_again(talk: Talk, subject: str) -> None:
    agent, made = talk.agent(), talk.proposal()
    one = str(made.id) if subject == "proposal" else talk.comment(made)
    with talk.nothing_stored():
        for action in ("show", "keep"):
            refused(talk.decide(agent, action, subject, one), 409, "nothing_to_decide")
    talk.hide(agent, subject, one)
    with talk.nothing_stored():
        for action in ("hide", "keep"):
            answer = talk.decide(talk.agent(), action, subject, one)
            assert refused(answer, 409, "changed_meanwhile")["action_now"] == "hide"
        answer = talk.decide(talk.agent(), "show", subject, one, seen=0)
        assert refused(answer, 409, "changed_meanwhile")["seen_now"] == 1
    assert talk.decide(talk.agent(), "show", subject, one, seen=1).status_code == 200


def test_what_is_not_there_cannot_be_decided(talk: Talk) -> None:
    agent, awa, made = talk.agent(), talk.person(), talk.proposal()
    gone = talk.comment(made, awa)
    talk.comment(made, parent=gone)
    talk.delete(f"comments/{gone}", awa)
    draft = talk.proposal(status="draft")
    with talk.nothing_stored():
        for subject, one, status, code in (
            ("comment", uuid4(), 404, "comment_not_found"),
            ("proposal", uuid4(), 404, "proposal_not_found"),
            ("comment", made.id, 404, "comment_not_found"),
            ("comment", gone, 409, "comment_closed"),
            ("proposal", draft.id, 404, "proposal_not_found"),
        ):
            refused(talk.decide(agent, "hide", subject, one), status, code)


@pytest.mark.parametrize(("action", "hidden"), [("uphold", True), ("reverse", False)])
@pytest.mark.parametrize("subject", ["proposal", "comment"])
def test_an_appeal_is_decided_by_another_agent(
    talk: Talk, commune: str, subject: str, action: str, hidden: bool
) -> None:
    agent, other = talk.agent(commune), talk.agent(commune)
    made = talk.proposal(commune=commune)
    awa = made.author if subject == "proposal" else talk.person()
    one = str(made.id) if subject == "proposal" else talk.comment(made, awa, WORDS)
    talk.hide(agent, subject, one)
    answer = talk.appeal(awa, subject, one)
    assert (answer.status_code, answer.json()["action"]) == (201, "appeal")
    assert answer.json()["note"] == ""

    mine, theirs = talk.queue(agent, commune)["items"], talk.queue(other, commune)["items"]
    assert [item["id"] for item in mine] == [item["id"] for item in theirs] == [one]
    assert (mine[0]["may"], theirs[0]["may"]) == (["show"], ["show", "uphold", "reverse"])
    assert (theirs[0]["appeal"], theirs[0]["last"]["action"]) == (
        "Ce n'est pas une insulte.",
        "hide",
    )
    with talk.nothing_stored():
        refused(talk.answer(agent, action, subject, one), 409, "same_agent")
        refused(talk.answer(talk.agent("0405"), action, subject, one), *nobody(subject))
        answer = talk.answer(other, action, subject, one, seen=1)
        refused(answer, 409, "changed_meanwhile")
    answer = talk.answer(other, action, subject, one, seen=theirs[0]["seen"])
    assert answer.status_code == 200, answer.text
    assert (answer.json()["hidden"], answer.json()["reason"]) == (hidden, "insult")
    assert talk.queue(other, commune)["items"] == []
    with talk.nothing_stored():
        found = refused(talk.answer(talk.agent(commune), action, subject, one), 409, MEANWHILE)
        assert (found["action_now"], found["note_now"]) == (action, "Revu.")
        again = talk.appeal(awa, subject, one)
        refused(again, 409, "already_appealed" if hidden else "not_hidden")
    if subject == "proposal":
        assert (talk.row(made)["hidden_at"] is not None) is hidden
    else:
        assert talk.comments(made)["items"][0]["body"] == ("" if hidden else WORDS)
        assert talk.row(made)["comments"] == (0 if hidden else 1)


MEANWHILE = "changed_meanwhile"


def nobody(subject: str) -> tuple[int, str]:
    """What an agent of another commune learns of something hidden."""
    return (404, "proposal_not_found") if subject == "proposal" else (403, "forbidden")


def test_of_two_who_decide_an_appeal_at_once_one_is_heard(talk: Talk) -> None:
    made, awa, said = hidden_comment(talk, talk.agent())
    talk.appeal(awa, "comment", said)
    agents = [talk.agent() for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        answers = list(
            pool.map(
                lambda turn: talk.answer(
                    agents[turn], ("uphold", "reverse")[turn % 2], "comment", said
                ),
                range(4),
            )
        )
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
    assert [one["action"] for one in talk.log(made)][1:] == ["appeal", "hide"]


def test_only_authors_appeal_and_once_a_hiding(talk: Talk) -> None:
    agent = talk.agent()
    made, awa, said = hidden_comment(talk, agent)
    shown = talk.comment(made, awa)
    with talk.nothing_stored():
        for who in (talk.person(), agent, made.author):
            refused(talk.appeal(who, "comment", said), 403, "forbidden")
        refused(talk.appeal(awa, "comment", shown), 409, "not_hidden")
        refused(talk.appeal(made.author, "proposal", made.id), 409, "not_hidden")
        refused(talk.appeal(awa, "comment", uuid4()), 404, "comment_not_found")
        refused(talk.answer(talk.agent(), "reverse", "comment", said), 409, "changed_meanwhile")
    with ThreadPoolExecutor(4) as pool:
        codes = sorted(
            answer.status_code
            for answer in pool.map(lambda _: talk.appeal(awa, "comment", said), range(4))
        )
    assert codes == [201, 409, 409, 409]
    refused(talk.appeal(awa, "comment", said), 409, "already_appealed")
    assert talk.comments(made, awa)["items"][-1]["hidden"]["appealed"] is True
    talk.answer(talk.agent(), "reverse", "comment", said)
    talk.hide(agent, "comment", said)
    assert talk.appeal(awa, "comment", said).status_code == 201


def test_an_agent_never_decides_the_appeal_they_made(talk: Talk) -> None:
    made, writer = talk.proposal(), talk.agent()
    said = talk.comment(made, writer)
    talk.hide(talk.agent(), "comment", said)
    talk.appeal(writer, "comment", said)
    with talk.nothing_stored():
        refused(talk.answer(writer, "reverse", "comment", said), 409, "same_agent")


@pytest.mark.parametrize("subject", ["proposal", "comment"])
def test_an_agent_never_decides_about_their_own_words(
    talk: Talk, commune: str, subject: str
) -> None:
    writer, made = talk.agent(commune), talk.proposal(commune=commune)
    one = str(made.id)
    if subject == "comment":
        one = talk.comment(made, writer)
    else:
        talk.run(
            "INSERT INTO authors (proposal_id, user_id, role) VALUES (:id, :who, 'coauthor')",
            id=made.id,
            who=writer.id,
        )
    talk.report(subject, one)
    with talk.nothing_stored():
        for action in ("hide", "keep", "show"):
            refused(talk.decide(writer, action, subject, one), 409, "same_agent")
    other = talk.agent(commune)
    assert [item["may"] for item in talk.queue(writer, commune)["items"]] == [[]]
    assert [item["may"] for item in talk.queue(other, commune)["items"]] == [["hide", "keep"]]
    talk.hide(other, subject, one)
    refused(talk.decide(writer, "show", subject, one), 409, "same_agent")


def test_what_an_author_says_in_an_appeal_is_kept_in_the_log_alone(talk: Talk) -> None:
    _, awa, said = hidden_comment(talk, talk.agent())
    body = {"subject": "comment", "id": said, "note": "Mon voisin Bio me menace."}
    key = uuid4()
    first, again = (talk.post("moderation/appeals", awa, body, key) for _ in range(2))
    assert (again.status_code, again.json()) == (201, first.json())
    (kept,) = talk.world.rows(
        "SELECT CAST(body AS text) AS body FROM idempotency_keys WHERE key = :key", key=key
    )
    assert "appeal" in kept["body"]
    assert "voisin" not in kept["body"]


def test_what_its_author_withdraws_waits_no_more(talk: Talk, commune: str) -> None:
    agent, awa = talk.agent(commune), talk.person()
    made = talk.proposal(commune=commune)
    said = talk.comment(made, awa)
    talk.comment(made, parent=said)
    talk.hide(agent, "comment", said)
    talk.appeal(awa, "comment", said)
    assert talk.delete(f"comments/{said}", awa).json()["comments"] == 1
    assert talk.queue(talk.agent(commune), commune)["items"] == []
    shown = talk.comments(made)["items"][0]
    assert (shown["withdrawn"], shown["hidden"]) == (True, None)
    assert [one["action"] for one in talk.log(made)] == ["appeal", "hide"]


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE moderation_log SET note = 'autre'",
        "DELETE FROM moderation_log",
        "TRUNCATE moderation_log",
    ],
)
def test_the_log_is_only_ever_added_to(talk: Talk, sql: str) -> None:
    hidden_comment(talk, talk.agent())
    with talk.nothing_stored(), pytest.raises(DBAPIError, match="only ever added"):
        talk.run(sql)


def test_talk_endorsements_and_decisions_at_once_agree(talk: Talk) -> None:
    made = talk.proposal(needed=3)
    said = [talk.comment(made) for _ in range(4)]
    agent = talk.agent()

    def act(turn: int) -> int:
        kinds = (
            lambda: talk.post(f"proposals/{made.id}/endorsements", talk.person()),
            lambda: talk.post(f"proposals/{made.id}/comments", talk.person(), {"body": "Oui."}),
            lambda: talk.post(f"comments/{said[turn % 4]}/useful", talk.person()),
            lambda: talk.decide(agent, "hide", "comment", said[turn // 4 % 4]),
        )
        return int(kinds[turn % 4]().status_code)

    with ThreadPoolExecutor(8) as pool:
        codes = set(pool.map(act, range(32)))
    assert codes <= {200, 201, 409}
    visible = talk.world.rows(
        "SELECT count(*) AS n FROM comments WHERE proposal_id = :id AND hidden_at IS NULL",
        id=made.id,
    )[0]["n"]
    row = talk.row(made)
    assert (row["comments"], row["endorsements"]) == (visible, 8)
    kinds = [kind for kind, _ in talk.said(made)]
    assert (kinds.count("threshold_reached"), kinds.count("discussed")) == (1, 4 + 8 + 4)
