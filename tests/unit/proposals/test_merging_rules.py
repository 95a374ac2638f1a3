"""What merged proposals share, and which amendments collide."""

from uuid import UUID

import pytest

from services.proposals.merging.domain import MAX_REPORTS, brought, collisions, left

pytestmark = pytest.mark.unit

A, B, C, D = (UUID(int=i) for i in range(1, 5))


def test_a_source_brings_what_the_target_has_not_got() -> None:
    assert brought([A, B], [B, C, C, D]) == [C, D]
    assert brought([], []) == []


def test_no_more_reports_than_there_is_room_for() -> None:
    held = [UUID(int=i) for i in range(100, 100 + MAX_REPORTS - 1)]
    assert brought(held, [A, B]) == [A]
    assert brought([*held, C], [A, B]) == []
    assert brought([*held, C, D], [A]) == []


def test_only_what_came_and_nobody_else_holds_leaves() -> None:
    held = [A, B, C, D]
    assert left(held, leaving={B, C}, came={B, C, D}, kept=set()) == [A, D]
    assert left(held, leaving={B, C}, came={C}, kept=set()) == [A, B, D]
    assert left(held, leaving={B, C}, came={B, C}, kept={C}) == [A, C, D]
    assert left(held, leaving=set(), came={A}, kept=set()) == held


def test_a_field_collides_when_it_says_neither_the_old_nor_the_new() -> None:
    base = {"title": "Six", "need": "", "theme": None}
    assert collisions(base, base, {"title": "Huit", "theme": "eau"}) == {}
    now = {"title": "Sept", "need": "Voir", "theme": "eau"}
    assert collisions(base, now, {"title": "Huit", "theme": "eau"}) == {
        "title": {"before": "Six", "now": "Sept", "after": "Huit"}
    }
    assert collisions(base, now, {"need": "Voir"}) == {}
