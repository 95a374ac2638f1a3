"""Roles and phones."""

from itertools import pairwise

import pytest
from pydantic import ValidationError

from services.accounts.domain import PERMISSIONS, ROLES, grants_of, masked, new_code
from services.accounts.schemas import CodeRequest, TokenRequest

pytestmark = pytest.mark.unit


def test_every_role_is_in_the_one_table_and_roles_only_grow() -> None:
    assert set(PERMISSIONS) == set(ROLES)
    ladder = ("citizen", "agent", "commune_admin", "national_admin")
    for lower, higher in pairwise(ladder):
        assert PERMISSIONS[lower] < PERMISSIONS[higher]  # type: ignore[index]


def test_grants_are_by_commune() -> None:
    found = grants_of([("agent", "0801"), ("national_admin", "*"), ("citizen", "0405")])
    assert set(found) == {"0801", "*"}
    assert "roles.grant" not in found["0801"]
    assert found["0801"] == sorted(found["0801"])


@pytest.mark.parametrize(
    "written", ["01 97 00 00 01", "+229 01 97 00 00 01", "0022901 97000001", "+2290197000001"]
)
def test_ten_digits_of_benin(written: str) -> None:
    assert CodeRequest(phone=written).phone == "+2290197000001"


@pytest.mark.parametrize("written", ["97 00 00 01", "0197", "+229", "tel:+2290197;x", "1" * 33])
def test_other_numbers_are_refused(written: str) -> None:
    with pytest.raises(ValidationError):
        CodeRequest(phone=written)


@pytest.mark.parametrize("code", ["12345", "1234567", "12345a", "١٢٣٤٥٦", " 12345"])
def test_codes_are_six_digits(code: str) -> None:
    with pytest.raises(ValidationError):
        TokenRequest(phone="+2290197000001", code=code)


def test_codes_and_masks() -> None:
    assert {len(new_code()) for _ in range(50)} == {6}
    assert masked("+2290197000001") == "+229 •• 01"
