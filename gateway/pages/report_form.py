"""The form that pins a problem: what is there already, what all will read, and then the report."""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated
from uuid import NAMESPACE_URL, UUID, uuid5

from babel import dates
from fastapi import APIRouter, Query, Request, Response
from starlette.datastructures import FormData, UploadFile

from gateway import clients, i18n, labels
from gateway.clients import Api
from gateway.errors import ServiceDown, ServiceProblem
from gateway.labels import N_
from gateway.layers import commune_map_parts
from gateway.pages import base
from gateway.pages.base import Form, Json
from gateway.pages.reports import marked, show
from gateway.places import Places, PlacesDep
from gateway.session import ApiDep, CheckedForm, person
from gateway.web import TIMEZONE, gettext, redirect, render

router = APIRouter(include_in_schema=False)

MAX_PHOTOS = 5
MAX_PHOTO_BYTES = 10 * 1024 * 1024
#: How many reports near by are shown.
NEARBY = 4
#: What the public reads of who only spoke: data, so in French whoever sends it.
SPOKEN = "Message vocal"
SHORTEST = 3
#: Fields that are sent once more from the step between.
KEPT = (
    "lon",
    "lat",
    "arrondissement",
    "landmark",
    "category",
    "description",
    "gender",
    "anonymous",
    "voice_id",
)
#: A refusal of a voice note, and what is said at its field.
VOICE_REFUSALS = {
    "not_a_voice_note": N_("Cet enregistrement ne peut pas être lu. Recommencez, ou écrivez."),
    "voice_too_long": N_("Ce message est trop long : une minute au plus."),
    "too_large": N_("Ce message est trop long : une minute au plus."),
}
TOO_LARGE = base.REFUSALS["photo_too_large"][1]
TOO_MANY_PHOTOS = N_("Cinq photos au plus.")
#: What the script says, in the language of the page.
WORDS = {
    "remove": N_("Enlever la photo"),
    "sending": N_("Envoi de la photo…"),
    "sent": N_("Photo envoyée."),
    "waiting": N_("La photo attend le réseau : elle est gardée sur ce téléphone."),
    "bad": N_("Cette photo ne peut pas être lue. Enlevez-la ou prenez-en une autre."),
    "recording": N_("Enregistrement…"),
    "recorded": N_("Message enregistré."),
    "erased": N_("Message effacé."),
    "no_microphone": N_("Le micro n'est pas disponible. Autorisez-le, ou écrivez."),
    "voice_bad": VOICE_REFUSALS["not_a_voice_note"],
    "voice_waiting": N_("Le message attend le réseau : il est gardé sur ce téléphone."),
    "offline": N_("Pas de réseau. Continuez : tout est gardé sur ce téléphone."),
    "not_sent": N_(
        "Pas de réseau : rien n'est perdu. Votre signalement partira dès que le réseau revient, "
        "si cette page reste ouverte."
    ),
    "asking": N_("Un instant…"),
    "place_of_photo": N_("Le lieu de la photo est choisi."),
}

Code = Annotated[str, Query(max_length=40)]


@router.get("/communes/{code}/signalements/nouveau")
def new_report(
    code: str, request: Request, places: PlacesDep, arrondissement: Code = "", category: Code = ""
) -> Response:
    """Give the form that pins a problem."""
    known = base.place_names(places, places.commune(code).code)
    chosen = {
        "arrondissement": base.known(arrondissement, known),
        "category": base.known(category, labels.CATEGORIES),
    }
    return _form(code, request, places, Form.of(chosen), [])


def _form(code: str, request: Request, places: Places, form: Form, photos: list[str]) -> Response:
    _ = gettext(request)
    names = base.place_names(places, code)
    return render(
        request,
        "reports/new.html",
        status=422 if form.bad else 200,
        commune=places.commune(code),
        nav="report",
        form=form,
        photos=photos,
        map=commune_map_parts(request, code, "pin"),
        places=names,
        arrondissements=list(names.items()),
        words={name: _(text) for name, text in WORDS.items()},
        most=MAX_PHOTOS,
    )


@router.post("/communes/{code}/signalements/nouveau")
def create_report(
    code: str, request: Request, places: PlacesDep, api: ApiDep, sent: CheckedForm
) -> Response:
    """Pin the problem, after a look at what is near by and at what would be public.

    What the page has shown already (``seen_…``) is not shown again. Files are kept first: whatever
    is wrong with the rest, nobody sends them twice.
    """
    places.commune(code)
    form = Form.of({name: value for name, value in sent.items() if name != "photo_ids"})
    photos = _uploads(request, sent, form)
    body = _report(request, code, form, photos)
    if form.bad or form.values["change"]:
        return _form(code, request, places, form, photos)
    asked = _asked(code, request, places, api, form)
    if asked:
        return _confirm(code, request, places, form, photos, asked)
    try:
        made = api.create_report(body, key=form.values["idempotency_key"])
    except ServiceProblem as problem:
        return _form(code, request, places, base.refuse(request, form, problem), photos)
    if "follow_up_token" in made:
        return show(made["ref"], request, places, api, thanks=True, code=made["follow_up_token"])
    return redirect(f"/signalements/{made['ref']}?merci=1")


def _report(request: Request, code: str, form: Form, photos: list[str]) -> Json:
    """Read the form into a report; what is missing is written on the form."""
    values = form.values
    body: Json = {"commune": code, "category": values["category"]}
    at = base.point(form)
    if at:
        body["lon"], body["lat"] = at
    elif values["arrondissement"]:
        body["arrondissement"] = values["arrondissement"]
    else:
        form.wrong(request, "place")
    if values["category"] not in labels.CATEGORIES:
        form.wrong(request, "category")
    text = values["description"]
    if len(text) < SHORTEST and values["voice_id"]:
        text = f"{SPOKEN} {text}".strip()
    if len(text) < SHORTEST:
        form.wrong(request, "description")
    return body | {
        "landmark": values["landmark"],
        "description": text,
        "photos": photos,
        "voice": values["voice_id"] or None,
        "gender": base.known(values["gender"], labels.GENDERS) or None,
        "anonymous": bool(values["anonymous"]),
    }


def _uploads(request: Request, sent: FormData, form: Form) -> list[str]:
    """Keep the files that came with the form; return the ids of its photos, earlier ones first.

    Sent in nobody's name: a photo of an anonymous report must not name who was signed in.
    """
    _ = gettext(request)
    nobody = clients.api(request)
    key = form.values["idempotency_key"]
    found = [i for i in map(_id, sent.getlist("photo_ids")) if i]
    for number, file in enumerate(_files(sent, "photos")):
        if len(found) >= MAX_PHOTOS:
            form.errors["photos"] = _(TOO_MANY_PHOTOS)
            break
        if (file.size or 0) > MAX_PHOTO_BYTES:
            form.errors["photos"] = _(TOO_LARGE)
            continue
        try:
            found.append(nobody.upload(file.file.read(), _key(key, f"{number}"))["id"])
        except ServiceProblem as problem:
            base.refuse(request, form, problem)
    form.values["voice_id"] = _id(form.values["voice_id"])
    for file in _files(sent, "voice"):
        try:
            made = nobody.upload(file.file.read(), _key(key, "voice"), "voice")
        except ServiceProblem as problem:
            if problem.code not in VOICE_REFUSALS:
                raise
            form.errors["voice"] = _(VOICE_REFUSALS[problem.code])
        else:
            form.values["voice_id"] = made["id"]
    return list(dict.fromkeys(found))[:MAX_PHOTOS]


def _files(sent: FormData, name: str) -> Iterator[UploadFile]:
    return (f for f in sent.getlist(name) if isinstance(f, UploadFile) and f.size)


def _key(key: str, name: str) -> str | None:
    """Return the key of one file, made from the form's."""
    return str(uuid5(NAMESPACE_URL, f"{key}/{name}")) if key else None


def _id(value: object) -> str:
    """Return an upload's id, or nothing where there is none."""
    try:
        return str(UUID(str(value)))
    except ValueError:
        return ""


# The step between: what the page of a browser with scripts shows while one writes.


def _asked(code: str, request: Request, places: Places, api: Api, form: Form) -> Json:
    """Return what must be shown before sending, empty when there is nothing (or no answer)."""
    asked: Json = {}
    if not form.values["seen_nearby"]:
        asked["nearby"] = nearby(code, request, places, api, form)
    if not form.values["seen_preview"]:
        asked["preview"] = preview(api, form)
    if asked.get("preview") and not asked["preview"]["personal"]:
        del asked["preview"]
    asked["nobody"] = not form.values["anonymous"] and person(request) is None
    return asked if any(asked.values()) else {}


def _confirm(
    code: str, request: Request, places: Places, form: Form, photos: list[str], asked: Json
) -> Response:
    shown: Json = {"nearby": [], "preview": None, **asked}
    return render(
        request,
        "reports/confirm.html",
        commune=places.commune(code),
        nav="report",
        form=form,
        kept=[(name, form.values[name]) for name in KEPT if form.values[name]],
        photos=photos,
        near=bool(base.point(form)),
        **shown,
    )


def nearby(code: str, request: Request, places: Places, api: Api, form: Form) -> list[Json]:
    """Return open reports of the category near the place, or in the arrondissement without one."""
    category, part = form.values["category"], form.values["arrondissement"]
    at = base.point(form)
    try:
        if at:
            found = api.duplicates(*at, category)
        elif part:
            found = api.reports(
                commune=code,
                arrondissement=part,
                category=category,
                status=",".join(base.OPEN),
                limit=NEARBY,
            )
        else:
            return []
    except (ServiceProblem, ServiceDown):
        return []  # a help that is not there keeps nobody from reporting
    items = base.reports_of(found, base.place_names(places, code))[:NEARBY]
    return [{**item, "age": age(request, item["created_at"])} for item in items]


def age(request: Request, time: str) -> str:
    """Return how long ago, in words."""
    since = datetime.fromisoformat(time) - datetime.now(TIMEZONE)
    said: str = dates.format_timedelta(since, add_direction=True, locale=i18n.choose(request))
    return said


def preview(api: Api, form: Form) -> Json | None:
    """Return how the public will read the texts, what looks personal marked; None for no answer."""
    texts = {name: form.values[name] for name in ("description", "landmark")}
    try:
        found = api.preview(texts)
    except (ServiceProblem, ServiceDown):
        return None
    return found | {name: marked(found, name) for name in texts}


@router.get("/communes/{code}/signalements/proches")
def see_nearby(
    code: str,
    request: Request,
    places: PlacesDep,
    api: ApiDep,
    category: Code = "",
    arrondissement: Code = "",
    lon: Code = "",
    lat: Code = "",
) -> Response:
    """Give the piece of the page that shows what is near by, for who is still writing."""
    form = Form.of({"category": category, "arrondissement": arrondissement, "lon": lon, "lat": lat})
    found = []
    if category in labels.CATEGORIES:
        found = nearby(places.commune(code).code, request, places, api, form)
    return render(
        request, "reports/nearby.html", nearby=found, near=bool(base.point(form)), inside=True
    )


@router.post("/communes/{code}/signalements/apercu")
def see_preview(
    code: str, request: Request, places: PlacesDep, api: ApiDep, sent: CheckedForm
) -> Response:
    """Give the piece of the page that shows what all will read."""
    places.commune(code)
    found = preview(api, Form.of(sent))
    return render(request, "reports/preview.html", preview=found, inside=True)
