"""What a voter is given: the same for a retry, of no use to anybody else."""

import re
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from services.voting import secrecy
from services.voting.settings import Settings

pytestmark = pytest.mark.unit

SECRET = "s" * 64
UUIDS = st.uuids()


@given(UUIDS, UUIDS, UUIDS)
def test_a_retry_derives_the_same_slip_and_its_token_opens_it(
    election: UUID, voter: UUID, key: UUID
) -> None:
    slip = secrecy.new_slip(SECRET, election, voter, key)
    assert secrecy.new_slip(SECRET, election, voter, key) == slip
    assert secrecy.slip_of(SECRET, election, voter, slip.token) == slip
    assert re.fullmatch(r"[2-9A-Z]{4}-[2-9A-Z]{4}-[2-9A-Z]{2}", slip.receipt)
    assert not set("01ILOUV") & set(slip.receipt)


def test_any_other_part_gives_another_slip() -> None:
    election, voter, key, other = (uuid4() for _ in range(4))
    slips = [
        secrecy.new_slip(SECRET, election, voter, key),
        secrecy.new_slip("t" * 64, election, voter, key),
        secrecy.new_slip(SECRET, other, voter, key),
        secrecy.new_slip(SECRET, election, other, key),
        secrecy.new_slip(SECRET, election, voter, other),
    ]
    for values in ({s.token for s in slips}, {s.receipt for s in slips}):
        assert len(values) == len(slips)
    assert secrecy.slip_of(SECRET, election, other, slips[0].token) is None
    assert secrecy.slip_of(SECRET, other, voter, slips[0].token) is None
    assert secrecy.slip_of("t" * 64, election, voter, slips[0].token) is None


@pytest.mark.parametrize("token", ["", "x", "é" * 43, "A" * 43, "A" * 100, "a b", "\x00"])
def test_what_is_no_token_opens_nothing(token: str) -> None:
    assert secrecy.slip_of(SECRET, uuid4(), uuid4(), token) is None


def test_marks_tell_a_retry_from_a_key_used_again() -> None:
    slip = secrecy.new_slip(SECRET, uuid4(), uuid4(), uuid4())
    key, other = uuid4(), uuid4()
    kept = [secrecy.mark(SECRET, slip, key, [1, 2])]
    assert secrecy.earlier(kept, secrecy.mark(SECRET, slip, key, [1, 2])) is True
    assert secrecy.earlier(kept, secrecy.mark(SECRET, slip, key, [1])) is False
    assert secrecy.earlier(kept, secrecy.mark(SECRET, slip, other, [1, 2])) is None
    assert secrecy.mark(SECRET, slip, key, [1, 12]) != secrecy.mark(SECRET, slip, key, [11, 2])


@pytest.mark.parametrize("secret", [None, "short"])
def test_the_service_does_not_start_without_a_real_secret(
    monkeypatch: pytest.MonkeyPatch, secret: str | None
) -> None:
    monkeypatch.setenv("PALABRE_VOTING_DATABASE_URL", "postgresql://")
    monkeypatch.delenv("PALABRE_VOTING_SECRET", raising=False)
    if secret:
        monkeypatch.setenv("PALABRE_VOTING_SECRET", secret)
    with pytest.raises(ValidationError, match="PALABRE_VOTING_SECRET"):
        Settings(_env_file=None)
