"""In which files photos and voice notes are kept."""

from collections.abc import Mapping

from services.common.media.forms import Form, photos
from services.reports.media.domain import Kind

FORMS: Mapping[Kind, Form] = {
    "photo": photos("reports"),
    "voice": Form("reports", "audio/mpeg", "mp3"),
}
