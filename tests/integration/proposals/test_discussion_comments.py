"""Comments: threads, stances, sorting, pages, marks, what their authors take back."""

from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import pytest

from services.proposals.discussion import domain, repository
from tests.integration.proposals.talking import Talk, refused
from tests.integration.proposals.world import World

pytestmark = pytest.mark.integration

WAITING = """
    SELECT 1 FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


@pytest.fixture
def talk(world: World) -> Talk:
    return Talk(world)


def test_a_comment_is_read_by_all_without_who_wrote_it(talk: Talk) -> None:
    made, awa = talk.proposal(), talk.person()
    answer = talk.post(
        f"proposals/{made.ref}/comments",
        awa,
        {"body": "  Il en faut <b>huit</b>.\nÀ voir… ", "stance": "for", "name": "Awa D."},
    )
    assert answer.status_code == 201
    told = answer.json()
    assert told == {"id": told["id"], "parent": None, "depth": 0, "comments": 1}

    page = talk.comments(made)
    assert (page["comments"], page["open"]) == (1, True)
    assert page["stances"] == {"for": 1, "against": 0, "neutral": 0}
    shown = page["items"][0]
    assert (shown["body"], shown["stance"]) == ("Il en faut <b>huit</b>.\nÀ voir…", "for")
    assert (shown["name"], shown["mine"], shown["hidden"], shown["withdrawn"]) == (
        "Awa D.",
        False,
        None,
        False,
    )
    assert talk.comments(made, awa)["items"][0]["mine"] is True
    assert str(awa.id) not in talk.get(f"proposals/{made.id}/comments", awa).text
    assert talk.said(made) == [
        (
            "discussed",
            {
                "id": str(made.id),
                "ref": made.ref,
                "campaign": str(made.campaign),
                "commune": "0801",
                "comments": 1,
            },
        )
    ]


@pytest.mark.parametrize(
    "body",
    [
        {"body": ""},
        {"body": "   \n "},
        {"body": "\u200b\u200d\ufeff"},
        {"body": "\u3164"},
        {"body": "x" * 2001},
        {"body": "a\u0000b"},
        {"body": 7},
        {"body": "Oui.", "stance": "maybe"},
        {"body": "Oui.", "name": "\u202eAwa"},
        {"body": "Oui.", "name": "x" * 81},
        {"body": "Oui.", "parent": "P-222222"},
        {"body": "Oui.", "user_id": str(uuid4())},
        {},
    ],
)
def test_words_that_break_a_rule_are_refused(talk: Talk, body: dict[str, object]) -> None:
    made = talk.proposal()
    with talk.nothing_stored():
        refused(talk.post(f"proposals/{made.id}/comments", talk.person(), body), 422, "invalid")


def test_two_thousand_letters_are_the_most(talk: Talk) -> None:
    made = talk.proposal()
    talk.comment(made, body="é" * domain.MAX_BODY)
    assert len(talk.comments(made)["items"][0]["body"]) == domain.MAX_BODY


@pytest.mark.parametrize("phase", ["preparation", "closed"])
def test_talk_ends_with_the_campaign(talk: Talk, phase: str) -> None:
    made = talk.proposal()
    said = talk.comment(made)
    talk.enter(made.campaign, phase)
    with talk.nothing_stored():
        answer = talk.post(f"proposals/{made.id}/comments", talk.person(), {"body": "Trop tard."})
        refused(answer, 409, "wrong_phase")
        refused(talk.post(f"comments/{said}/useful", talk.person()), 409, "wrong_phase")
    page = talk.comments(made)
    assert (len(page["items"]), page["open"]) == (1, False)


@pytest.mark.parametrize("phase", ["ideas", "review", "revision", "vote", "results", "works"])
def test_people_talk_through_the_whole_exercise(talk: Talk, phase: str) -> None:
    made = talk.proposal(phase=phase)
    talk.comment(made)
    assert talk.comments(made)["open"] is True


def test_what_is_withdrawn_is_no_more_discussed(talk: Talk) -> None:
    made = talk.proposal(status="withdrawn")
    draft = talk.proposal(status="draft")
    with talk.nothing_stored():
        answer = talk.post(f"proposals/{made.id}/comments", talk.person(), {"body": "Dommage."})
        assert refused(answer, 409, "not_open")["status_now"] == "withdrawn"
        answer = talk.post(f"proposals/{draft.id}/comments", talk.person(), {"body": "Vu."})
        refused(answer, 404, "proposal_not_found")
        answer = talk.post(f"proposals/{made.id}/comments", None, {"body": "Qui ?"})
        refused(answer, 401, "unauthenticated")
    refused(talk.get(f"proposals/{draft.id}/comments"), 404, "proposal_not_found")


def test_threads_are_three_levels_deep(talk: Talk) -> None:
    made = talk.proposal()
    top = talk.comment(made, body="0")
    below = talk.comment(made, body="1", parent=top)
    deepest = talk.comment(made, body="2", parent=below)
    beside = talk.comment(made, body="2bis", parent=deepest)
    last = talk.comment(made, body="1bis", parent=top)
    page = talk.comments(made)
    assert [one["id"] for one in page["items"]] == [top]
    first = page["items"][0]
    assert [one["id"] for one in first["replies"]] == [below, last]
    assert [one["id"] for one in first["replies"][0]["replies"]] == [deepest, beside]
    assert [one["parent"] for one in first["replies"][0]["replies"]] == [below, below]
    assert [
        one["depth"] for one in (first, *first["replies"], *first["replies"][0]["replies"])
    ] == [
        0,
        1,
        1,
        2,
        2,
    ]
    assert (page["comments"], talk.row(made)["comments"]) == (5, 5)


def test_a_reply_answers_something_of_the_same_proposal_that_can_be_read(talk: Talk) -> None:
    made, other = talk.proposal(), talk.proposal()
    elsewhere, hidden, awa = talk.comment(other), talk.comment(made), talk.person()
    gone = talk.comment(made, awa)
    talk.comment(made, parent=gone)
    talk.hide(talk.agent(), "comment", hidden)
    talk.delete(f"comments/{gone}", awa)
    with talk.nothing_stored():
        for parent, status, code in (
            (elsewhere, 404, "comment_not_found"),
            (str(uuid4()), 404, "comment_not_found"),
            (hidden, 409, "comment_closed"),
            (gone, 409, "comment_closed"),
        ):
            answer = talk.post(
                f"proposals/{made.id}/comments", talk.person(), {"body": "Oui.", "parent": parent}
            )
            refused(answer, status, code)


def test_comments_are_sorted_and_paged_without_gaps(talk: Talk) -> None:
    made = talk.proposal()
    said = [talk.comment(made, body=str(i)) for i in range(7)]
    for index, people in ((2, 3), (5, 1)):
        for _ in range(people):
            talk.post(f"comments/{said[index]}/useful", talk.person())
    orders = {
        "newest": said[::-1],
        "oldest": said,
        "useful": [said[2], said[5], said[6], said[4], said[3], said[1], said[0]],
    }
    for sort, expected in orders.items():
        url: str | None = f"/api/v1/proposals/{made.id}/comments?sort={sort}&limit=3"
        seen, sizes = [], []
        while url:
            page = talk.world.client.get(url).json()
            seen += [one["id"] for one in page["items"]]
            sizes.append(len(page["items"]))
            url = page["next"]
        assert (seen, sizes) == (expected, [3, 3, 1]), sort


def test_what_is_written_meanwhile_does_not_move_the_pages(talk: Talk) -> None:
    made = talk.proposal()
    said = [talk.comment(made) for _ in range(4)]
    page = talk.comments(made, query="limit=2")
    talk.comment(made)
    rest = talk.world.client.get(page["next"]).json()
    assert [one["id"] for one in page["items"] + rest["items"]] == said[::-1]


@pytest.mark.parametrize("cursor", ["x", "W10=", "WyJuZXdlc3QiLDEsMl0=", "a" * 301, "%00"])
def test_cursors_of_others_are_refused(talk: Talk, cursor: str) -> None:
    made = talk.proposal()
    answer = talk.get(f"proposals/{made.id}/comments?cursor={cursor}")
    assert answer.status_code == 422
    for _ in range(2):
        talk.comment(made)
    following = talk.comments(made, query="limit=1")["next"]
    answer = talk.world.client.get(following + "&sort=useful")
    assert answer.status_code == 422


def test_a_long_thread_comes_in_parts(talk: Talk) -> None:
    made = talk.proposal()
    top = talk.comment(made)
    below = talk.comment(made, parent=top)
    for depth, parent, many in ((1, top, 58), (2, below, 5)):
        talk.run(
            "INSERT INTO comments (id, proposal_id, parent_id, depth, user_id, stance, body, "
            "created_at) SELECT gen_random_uuid(), :proposal, CAST(:parent AS uuid), :depth, "
            "gen_random_uuid(), 'neutral', 'x', now() + n * interval '1 second' "
            "FROM generate_series(1, :many) n",
            proposal=made.id,
            parent=parent,
            depth=depth,
            many=many,
        )
    first = talk.comments(made)["items"][0]
    shown = len(first["replies"]) + sum(len(one["replies"]) for one in first["replies"])
    assert shown == domain.REPLIES_SHOWN
    assert len(first["replies"]) + first["more"] == 59
    assert len(first["replies"][0]["replies"]) + first["replies"][0]["more"] == 5

    url: str | None = f"/api/v1/proposals/{made.id}/comments?parent={top}&sort=oldest&limit=25"
    seen = []
    while url:
        page = talk.world.client.get(url).json()
        seen += page["items"]
        url = page["next"]
    assert len({one["id"] for one in seen}) == len(seen) == 59
    assert (seen[0]["id"], len(seen[0]["replies"]), seen[0]["more"]) == (below, 5, 0)


def test_people_find_others_words_useful_once(talk: Talk) -> None:
    made, awa, bio = talk.proposal(), talk.person(), talk.person()
    said = talk.comment(made, awa)
    counted = [talk.post(f"comments/{said}/useful", who).json() for who in (bio, bio)]
    assert counted == [{"useful": 1}, {"useful": 1}]
    with ThreadPoolExecutor(8) as pool:
        crowd = [talk.person() for _ in range(8)] * 2
        list(pool.map(lambda who: talk.post(f"comments/{said}/useful", who), crowd))
    assert talk.comments(made, bio)["items"][0]["useful"] == 9
    assert talk.comments(made, bio)["items"][0]["marked"] is True
    assert talk.comments(made, awa)["items"][0]["marked"] is False
    with talk.nothing_stored():
        refused(talk.post(f"comments/{said}/useful", awa), 409, "own_words")
        refused(talk.post(f"comments/{uuid4()}/useful", bio), 404, "comment_not_found")
        refused(talk.post(f"comments/{said}/useful", None), 401, "unauthenticated")


def test_what_its_author_takes_back_is_nowhere_any_more(talk: Talk) -> None:
    made, awa = talk.proposal(), talk.person()
    secret = "Mon numéro : 97 00 00 00"
    key = uuid4()
    answer = talk.post(
        f"proposals/{made.id}/comments", awa, {"body": secret, "name": "Awa Secrète"}, key
    )
    said = answer.json()["id"]
    again = talk.post(
        f"proposals/{made.id}/comments", awa, {"body": secret, "name": "Awa Secrète"}, key
    )
    assert (again.headers["idempotent-replayed"], again.json()) == ("true", answer.json())
    talk.comment(made, parent=said, body="Merci.")
    talk.post(f"comments/{said}/useful", talk.person())
    talk.report("comment", said, "personal_data")

    gone = talk.delete(f"comments/{said}", awa)
    assert gone.json() == {"id": said, "placeholder": True, "comments": 1}
    everything = str(
        [
            talk.world.rows(f"SELECT * FROM {table}")
            for table in ("comments", "idempotency_keys", "outbox", "comment_marks")
        ]
    )
    assert "97 00" not in everything
    assert "Secrète" not in everything
    shown = talk.comments(made, awa)["items"][0]
    assert (shown["withdrawn"], shown["body"], shown["name"], shown["mine"]) == (
        True,
        "",
        "",
        False,
    )
    assert [one["body"] for one in shown["replies"]] == ["Merci."]
    assert talk.queue(talk.agent())["items"] == []
    with talk.nothing_stored():
        refused(talk.delete(f"comments/{said}", awa), 409, "comment_closed")
    assert [data["comments"] for _, data in talk.said(made)] == [1, 2, 1]


def test_a_place_goes_with_the_last_of_its_replies(talk: Talk) -> None:
    made, awa, bio = talk.proposal(), talk.person(), talk.person()
    top = talk.comment(made, awa)
    below = talk.comment(made, awa, parent=top)
    deepest = talk.comment(made, bio, parent=below)
    for said in (top, below):
        assert talk.delete(f"comments/{said}", awa).json()["placeholder"] is True
    assert len(talk.world.rows("SELECT 1 FROM comments WHERE proposal_id = :id", id=made.id)) == 3
    answer = talk.delete(f"comments/{deepest}", bio)
    assert answer.json() == {"id": deepest, "placeholder": False, "comments": 0}
    assert talk.world.rows("SELECT 1 FROM comments WHERE proposal_id = :id", id=made.id) == []
    assert talk.comments(made)["items"] == []


def test_only_who_wrote_it_takes_it_back_in_any_phase(talk: Talk) -> None:
    made, awa = talk.proposal(), talk.person()
    said = talk.comment(made, awa)
    with talk.nothing_stored():
        for who in (talk.person(), talk.agent(), made.author):
            refused(talk.delete(f"comments/{said}", who), 403, "forbidden")
        refused(talk.delete(f"comments/{said}", None), 401, "unauthenticated")
        refused(talk.delete(f"comments/{uuid4()}", awa), 404, "comment_not_found")
    talk.enter(made.campaign, "closed")
    talk.hide(talk.agent(), "proposal", made.id)
    refused(talk.delete(f"comments/{said}", talk.person()), 404, "proposal_not_found")
    assert talk.delete(f"comments/{said}", awa).status_code == 200
    assert talk.row(made)["comments"] == 0


@pytest.mark.parametrize("answered", [False, True])
def test_marks_and_withdrawals_at_once_wait_for_each_other(talk: Talk, answered: bool) -> None:
    made, awa = talk.proposal(), talk.person()
    readers = [talk.person() for _ in range(6)]
    for _ in range(6):
        said = talk.comment(made, awa)
        if answered:
            talk.comment(made, parent=said)
        with ThreadPoolExecutor(7) as pool:
            marks = [
                pool.submit(talk.post, f"comments/{said}/useful", reader) for reader in readers
            ]
            gone = pool.submit(talk.delete, f"comments/{said}", awa)
        assert gone.result().status_code == 200
        assert {mark.result().status_code for mark in marks} <= {200, 404, 409}
        assert talk.world.rows("SELECT 1 FROM comment_marks WHERE comment_id = :id", id=said) == []


@pytest.mark.parametrize("first", ["mark", "withdrawal"])
def test_a_mark_that_meets_a_withdrawal_is_no_fault(talk: Talk, first: str) -> None:
    """One transaction holds the comment while the other comes."""
    made, awa, bio = talk.proposal(), talk.person(), talk.person()
    said = UUID(talk.comment(made, awa))
    with talk.world.sessions() as session, ThreadPoolExecutor(1) as pool:
        if first == "mark":
            assert repository.mark(session, said, bio.id) == 1
            other = pool.submit(talk.delete, f"comments/{said}", awa)
        else:
            repository.forget_comment(session, said)
            other = pool.submit(talk.post, f"comments/{said}/useful", bio)
        while not talk.world.rows(WAITING):
            assert not other.done()
        session.commit()
        answer = other.result()
    assert answer.status_code == (200 if first == "mark" else 409), answer.text
    assert talk.world.rows("SELECT 1 FROM comment_marks WHERE comment_id = :id", id=said) == []


def test_many_at_once_are_all_counted_in_order(talk: Talk) -> None:
    made = talk.proposal()
    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(lambda _: talk.comment(made), range(12)))
    assert len(set(said)) == 12
    assert [data["comments"] for _, data in talk.said(made)] == list(range(1, 13))


def test_an_hour_holds_thirty_comments_of_one_person(talk: Talk) -> None:
    made, awa = talk.proposal(), talk.person()
    for _ in range(domain.COMMENTS_PER_HOUR):
        talk.comment(made, awa)
    with talk.nothing_stored():
        answer = talk.post(f"proposals/{made.id}/comments", awa, {"body": "Encore."})
        refused(answer, 429, "too_many")
    assert answer.headers["retry-after"] == "3600"
    talk.comment(made)
