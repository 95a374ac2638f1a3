"""In which files photos and documents are kept."""

from collections.abc import Mapping

from services.common.media.forms import Form, photos
from services.proposals.files.domain import Kind

FORMS: Mapping[Kind, Form] = {
    "photo": photos("proposals"),
    "document": Form("proposals", "application/pdf", "pdf"),
}
