"""Use cases of Open311: what is offered, what was sent, what is sent, and who may send."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO, TypeVar
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy import Row
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, sessionmaker

from services.common.ids import new_id
from services.common.media import images
from services.common.media.storage import Storage
from services.common.problems import Conflict, NotFound
from services.common.requests import id_or_ref
from services.reports import domain as core
from services.reports import reading, service
from services.reports.errors import CommuneTooFar, ReportNotFound
from services.reports.media import service as media
from services.reports.open311 import domain, repository
from services.reports.open311.errors import (
    BadKey,
    BadParameters,
    ClientNotFound,
    OnlyForTests,
    UnknownJurisdiction,
    UnknownService,
    WrongJurisdiction,
)
from services.reports.open311.formats import FORMATS
from services.reports.open311.schemas import ClientOut, Form, NewClient, RequestsQuery
from services.reports.schemas import Created, NewReport

T = TypeVar("T")
Record = dict[str, Any]

_TRIES = 3
#: What a sender may say of himself or herself, and how many characters it may have.
_CONTACT = {
    "first_name": 100,
    "last_name": 100,
    "phone": 40,
    "email": 254,
    "device_id": 200,
    "account_id": 200,
}
_CONTACT_US = "Adressez-vous à la mairie de la commune concernée."
_KEY_SERVICE = (
    "Une clé est délivrée par l'administrateur de la commune, ou par l'administrateur national "
    "pour toutes les communes. Une clé d'essai n'ouvre que l'adresse d'essai."
)


# What is offered ----------------------------------------------------------------------------------


def discovery(endpoints: Mapping[str, str]) -> Record:
    """Return the discovery document; ``endpoints`` maps ``production`` and ``test`` to URLs."""
    return {
        "changeset": domain.CHANGESET,
        "contact": _CONTACT_US,
        "key_service": _KEY_SERVICE,
        "endpoints": [
            {
                "specification": domain.SPECIFICATION,
                "url": url,
                "changeset": domain.CHANGESET,
                "type": kind,
                "formats": list(FORMATS.values()),
            }
            for kind, url in endpoints.items()
        ],
    }


def catalogue() -> list[Record]:
    """Return every service: the same in all communes."""
    return [
        {
            "service_code": category.code,
            "service_name": category.fr,
            "description": f"{category.fr} : {', '.join(category.keywords)}"
            if category.keywords
            else category.fr,
            "metadata": bool(domain.attributes_of(category.code)),
            "type": "realtime",
            "keywords": ", ".join(category.keywords),
            "group": category.group,
        }
        for category in core.CATEGORIES.values()
    ]


def definition(code: str) -> Record:
    """Return the questions of a service; :class:`UnknownService`."""
    return {
        "service_code": known_service(code),
        "attributes": [
            {
                "variable": attribute.variable,
                "code": attribute.code,
                "datatype": attribute.datatype,
                "required": attribute.required,
                "datatype_description": domain.HELP[attribute.datatype],
                "order": order,
                "description": attribute.description,
                **_values(attribute),
            }
            for order, attribute in enumerate(domain.attributes_of(code), start=1)
        ],
    }


def _values(attribute: domain.Attribute) -> Record:
    if not attribute.values:
        return {}
    return {"values": [{"key": key, "name": name} for key, name in attribute.values.items()]}


def known_service(code: str) -> str:
    """Return ``code`` when it is a category's, else raise :class:`UnknownService`."""
    if code not in core.CATEGORIES:
        raise UnknownService(f"There is no service {code[:40]!r}.")
    return code


def known_jurisdiction(session: Session, code: str) -> str | None:
    """Return a commune's code, None for an empty one; :class:`UnknownJurisdiction`."""
    if not code:
        return None
    if "\0" in code or repository.commune_name(session, code) is None:
        raise UnknownJurisdiction
    return code


def read(name: str, reader: Callable[..., T], *given: Any, **more: Any) -> T:
    """Read the parameter ``name``; what it breaks is :class:`BadParameters`."""
    try:
        return reader(*given, **more)
    except ValueError as error:
        raise BadParameters([(name, str(error))]) from None


# What was sent ------------------------------------------------------------------------------------


def find(session: Session, query: RequestsQuery, url: str, now: datetime) -> list[Record]:
    """Return the public reports that ``query`` asks for, newest first."""
    commune = known_jurisdiction(session, query.jurisdiction_id)
    values: Record = {"commune": commune} if commune else {}
    ids = _listed(query.service_request_id)
    if ids:
        values["refs"] = [str(id_or_ref(one)) for one in ids]
        if len(ids) > domain.MAX_IDS:
            raise BadParameters([("service_request_id", f"{domain.MAX_IDS} at most")])
        rows = repository.requests(session, values, size=domain.MAX_IDS)
    else:
        size, skip = _page(query)
        values |= _filters(query, now)
        rows = repository.requests(session, values, size=size, skip=skip)
    return [shape(row, url) for row in rows]


def _listed(given: Sequence[str]) -> list[str]:
    return [part for one in given for part in domain.split_list(one)]


def _filters(query: RequestsQuery, now: datetime) -> Record:
    values: Record = {}
    if codes := _listed(query.service_code):
        values["categories"] = [known_service(code) for code in codes]
    if states := _listed(query.status):
        unknown = set(states) - set(domain.STATES)
        if unknown:
            raise BadParameters([("status", f"one of {', '.join(domain.STATES)}")])
        values["statuses"] = [
            status for state, held in domain.STATES.items() if state in states for status in held
        ]
    start = query.start_date and read("start_date", domain.read_moment, query.start_date)
    end = query.end_date and read("end_date", domain.read_moment, query.end_date, end_of_day=True)
    values["first"], values["last"] = read(
        "start_date", domain.window, start or None, end or None, now
    )
    return values | _circle(query)


def _circle(query: RequestsQuery) -> Record:
    given = {"lat": query.lat, "lon": query.long, "radius": query.radius}
    if not any(given.values()):
        return {}
    if not all(given.values()):
        raise BadParameters([("radius", "lat, long and radius go together")])
    found = {name: read(name, domain.read_number, value) for name, value in given.items()}
    for name, most in {"lat": 90, "lon": 180, "radius": domain.MAX_RADIUS_M}.items():
        if abs(found[name]) > most:
            raise BadParameters([(name, f"{most} at most")])
    return found


def _page(query: RequestsQuery) -> tuple[int, int]:
    """Return how many reports to give and how many to pass over."""
    page = read("page", domain.read_count, query.page or "1", domain.DEEPEST)
    size = read("page_size", domain.read_count, query.page_size or str(domain.PAGE), domain.PAGE)
    if page * size > domain.DEEPEST:
        said = f"pages lead to {domain.DEEPEST} reports; ask for a shorter span of dates"
        raise BadParameters([("page", said)])
    return size, (page - 1) * size


def one(session: Session, key: str, jurisdiction: str, url: str) -> list[Record]:
    """Return one public report; :class:`ReportNotFound`."""
    return [shape(_row(session, key, jurisdiction), url)]


def token(session: Session, key: str, jurisdiction: str) -> list[Record]:
    """Return the report that a token stands for: ours are the ids themselves."""
    row = _row(session, key, jurisdiction)
    return [{"service_request_id": row.ref, "token": row.ref}]


def _row(session: Session, key: str, jurisdiction: str) -> Row[Any]:
    commune = known_jurisdiction(session, jurisdiction)
    values: Record = {"commune": commune} if commune else {}
    ref = str(id_or_ref(key))
    rows = repository.requests(session, {**values, "refs": [ref]}, size=1)
    if not rows:
        if ref.startswith(domain.TEST_PREFIX):
            raise ReportNotFound("What is sent to the test endpoint is checked and not kept.")
        raise ReportNotFound
    return rows[0]


def shape(row: Row[Any], url: str) -> Record:
    """Return a public report as Open311 tells it; ``url`` is where we are reached."""
    closed = domain.state_of(row.status) == "closed"
    return {
        "service_request_id": row.ref,
        "status": domain.state_of(row.status),
        "status_notes": row.note,
        "service_name": core.CATEGORIES[row.category].fr,
        "service_code": row.category,
        "description": row.description,
        "agency_responsible": row.forwarded_to or _agency(row),
        "service_notice": notice(row),
        "requested_datetime": domain.w3c(row.created_at),
        "updated_datetime": domain.w3c((closed and row.closed_at) or row.updated_at),
        "expected_datetime": domain.w3c(row.due_at),
        "address": ", ".join(
            part for part in (row.landmark, row.arrondissement_name, row.commune_name) if part
        ),
        "address_id": row.arrondissement,
        "zipcode": None,
        "lat": row.lat,
        "long": row.lon,
        "media_url": row.photo and url + reading.photo_links(row.photo).url,
    }


def notice(row: Row[Any]) -> str | None:
    """Return who takes care of an open report, and by when."""
    if domain.state_of(row.status) == "closed":
        return None
    said = []
    if agency := _agency(row):
        said.append(f"Confié à : {agency}.")
    if row.due_at:
        day = row.due_at.astimezone(domain.TIMEZONE)
        said.append(f"Réparation attendue au plus tard le {day:%d/%m/%Y}.")
    return " ".join(said) or None


def _agency(row: Row[Any]) -> str | None:
    return core.AGENCIES[row.agency].fr if row.agency else None


# What is sent -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Draft:
    """A request that is in order, as far as can be told before it is stored.

    ``assumed`` says that its commune is the client's, for want of a jurisdiction_id.
    """

    report: NewReport
    attributes: Record
    contact: dict[str, str]
    assumed: bool


def draft(session: Session, client: Row[Any], form: Form) -> Draft:
    """Read a form; whatever breaks a rule is refused with its name."""
    code = form.get("service_code")
    if not code:
        raise BadParameters([("service_code", "required")])
    category = core.CATEGORIES[known_service(code)]
    named = known_jurisdiction(session, form.get("jurisdiction_id"))
    if client.commune not in (domain.EVERYWHERE, named or client.commune):
        raise WrongJurisdiction
    own = None if client.commune == domain.EVERYWHERE else client.commune
    answers, wrong = domain.check_attributes(code, form.attributes)
    if wrong:
        raise BadParameters([(f"attribute[{name}]", said) for name, said in wrong])
    urls = [read("media_url", domain.read_url, one) for one in form.texts.get("media_url", ())]
    if len(urls) > core.MAX_PHOTOS:
        raise BadParameters([("media_url", f"{core.MAX_PHOTOS} at most")])
    kept = {"answers": answers, "media_urls": urls, "client": str(client.id)}
    try:
        report = NewReport(
            **_place(session, form, named or own, assumed=named is None),
            landmark=read("address_string", domain.read_line, form.get("address_string")),
            category=code,
            description=form.get("description") or f"{category.fr} (sans description)",
        )
    except ValidationError as error:
        raise BadParameters(
            [(str(e["loc"][0]) if e["loc"] else "", e["msg"]) for e in error.errors()]
        ) from None
    return Draft(
        report=report,
        attributes={name: value for name, value in kept.items() if value},
        contact=_contact(form),
        assumed=named is None and own is not None,
    )


def _place(session: Session, form: Form, commune: str | None, *, assumed: bool) -> Record:
    """Return where it is: a point, or the arrondissement that is given or named."""
    lat, long = form.get("lat"), form.get("long")
    if lat and long:
        return {
            "lat": read("lat", domain.read_number, lat),
            "lon": read("long", domain.read_number, long),
            "commune": commune,
        }
    if lat or long:
        raise BadParameters([("long" if lat else "lat", "lat and long go together")])
    if code := form.get("address_id"):
        if commune and code[:4] != commune:
            if assumed:
                raise WrongJurisdiction
            raise BadParameters([("address_id", "lies in another commune")])
        return {"arrondissement": code}
    if not form.get("address_string"):
        raise BadParameters([("lat", "give lat and long, address_id, or address_string")])
    if commune is None:
        raise BadParameters([("jurisdiction_id", "required to read an address_string")])
    name = repository.commune_name(session, commune) or commune
    places = repository.arrondissements(session, commune)
    said = form.get("address_string")
    return {
        "arrondissement": read("address_string", domain.match_place, said, name, places),
    }


def _contact(form: Form) -> dict[str, str]:
    said = {
        name: read(name, domain.read_line, form.get(name), longest)
        for name, longest in _CONTACT.items()
    }
    if not any(said.values()):
        return {}
    return {
        "name": f"{said['first_name']} {said['last_name']}".strip(),
        "phone": said["phone"],
        "email": said["email"],
        "device": said["device_id"],
        "account": said["account_id"],
    }


def send(
    session: Session,
    wanted: Draft,
    keep: Callable[[BinaryIO], UUID | None],
    files: Sequence[BinaryIO],
    *,
    test: bool,
) -> list[Record]:
    """Store a request and answer with its id; as a ``test`` all is tried and nothing is kept.

    ``keep`` is :func:`keep_photo` for real, and :func:`try_photo` as a test.
    """
    if len(files) > core.MAX_PHOTOS:
        raise BadParameters([("media", f"{core.MAX_PHOTOS} photos at most")])
    uploads = [upload for upload in map(keep, files) if upload]
    with session.begin_nested() as attempt:
        made = _create(session, wanted, uploads)
        if wanted.contact:
            repository.add_contact(session, made.id, wanted.contact)
        (row,) = repository.requests(session, {"refs": [made.ref]}, size=1)
        if test:
            attempt.rollback()
    ref = made.ref
    if test:
        ref = domain.TEST_PREFIX + ref.partition("-")[2]
    return [{"service_request_id": ref, "service_notice": notice(row), "account_id": None}]


def keep_photo(sessions: sessionmaker[Session], storage: Storage, file: BinaryIO) -> UUID:
    """Keep a photo as an upload of its own: if no report comes of it, it is purged like them."""
    with sessions.begin() as apart:
        return media.keep_photo(apart, storage, file.read(images.PHOTO_BYTES + 1))


def try_photo(file: BinaryIO) -> None:
    """Refuse what :func:`keep_photo` would refuse."""
    images.encode(file.read(images.PHOTO_BYTES + 1))


def _create(session: Session, wanted: Draft, uploads: list[UUID]) -> Created:
    """Store the report, with another reference when the one drawn is taken."""
    report = wanted.report.model_copy(update={"photos": uploads})
    for _ in range(_TRIES):
        try:
            with session.begin_nested():
                return service.create_report(
                    session,
                    report,
                    reporter=None,
                    channel="open311",
                    attributes=wanted.attributes,
                )
        except IntegrityError as error:
            taken = error
        except CommuneTooFar:
            if wanted.assumed:
                raise WrongJurisdiction from None
            raise
    raise taken


# Who may send -------------------------------------------------------------------------------------


def authenticate(session: Session, key: str, *, test: bool) -> Row[Any]:
    """Return the client that holds ``key``; :class:`BadKey`, :class:`OnlyForTests`."""
    if not key:
        raise BadKey("The parameter api_key is missing.")
    client = repository.client_of(session, domain.key_hash(key))
    if client is None:
        raise BadKey("This api_key is unknown or revoked.")
    if client.test and not test:
        raise OnlyForTests
    return client


def issue(
    session: Session, commune: str, wanted: NewClient, key: str, by: UUID | None
) -> ClientOut:
    """Give a client a key; only its hash is stored."""
    if commune != domain.EVERYWHERE and repository.commune_name(session, commune) is None:
        raise NotFound("No commune has this code.")
    row = repository.add_client(
        session,
        {
            "id": new_id(),
            "commune": commune,
            "name": wanted.name,
            "hash": domain.key_hash(key),
            "test": wanted.test,
            "by": by,
        },
    )
    if row is None:
        raise Conflict("This Idempotency-Key made a client before: take a new one.")
    return ClientOut(**row._asdict())


def clients(session: Session, commune: str | None) -> list[ClientOut]:
    """Return the clients of a commune, or of all, newest first."""
    return [ClientOut(**row._asdict()) for row in repository.clients(session, commune)]


def revoke(session: Session, client_id: UUID, commune: str | None = None) -> ClientOut:
    """End a client's key for good, once or again; :class:`ClientNotFound`."""
    row = repository.revoke(session, client_id, commune)
    if row is None:
        raise ClientNotFound
    return ClientOut(**row._asdict())
