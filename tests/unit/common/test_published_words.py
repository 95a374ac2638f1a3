"""Every reason and note that the services publish can be read."""

from typing import Any, get_type_hints

import pytest
from pydantic import TypeAdapter, ValidationError

from services.common.requests import Body
from services.proposals.campaigns import schemas as campaigns
from services.proposals.discussion import schemas as discussion
from services.proposals.merging import schemas as merging
from services.proposals.reviews import schemas as reviews
from services.proposals.works import schemas as works

pytestmark = pytest.mark.unit

SCHEMAS = (campaigns, discussion, merging, reviews, works)


def published() -> list[Any]:
    """Return the reasons and notes of request bodies that cannot be left out."""
    found = []
    for module in SCHEMAS:
        for model in vars(module).values():
            if not isinstance(model, type) or not issubclass(model, Body):
                continue
            hints = get_type_hints(model, include_extras=True)
            for name, field in model.model_fields.items():
                text = field.is_required() and field.annotation is str
                if text and name in ("reason", "note", "answer", "body"):
                    found.append(
                        pytest.param(
                            hints[name],
                            id=f"{module.__name__.split('.')[2]}-{model.__name__}-{name}",
                        )
                    )
    return found


@pytest.mark.parametrize("hint", published())
@pytest.mark.parametrize("value", ["\u200b", "\u3164\u2800", "\u00ad", ""])
def test_what_is_published_can_be_seen(hint: Any, value: str) -> None:
    read = TypeAdapter(hint)
    assert read.validate_python("Doublon.") == "Doublon."
    with pytest.raises(ValidationError):
        read.validate_python(value)


def test_the_table_of_published_words_is_not_empty() -> None:
    assert {one.id.split("-")[0] for one in published()} == {
        module.__name__.split(".")[2] for module in SCHEMAS
    }
