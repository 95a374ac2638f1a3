"""The desk follows the works: what asks for attention, and every act on one of them."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from starlette.datastructures import FormData, UploadFile

from gateway import labels
from gateway.clients import Api
from gateway.errors import ServiceProblem
from gateway.labels import N_, Label
from gateway.pages import base
from gateway.pages.base import Blank, Form, Json
from gateway.pages.works import milestones, running
from gateway.places import Places, PlacesDep
from gateway.projections import queries
from gateway.session import ApiDep, CheckedForm, require, signed_in
from gateway.web import TIMEZONE, gettext, money, redirect, render
from services.common.db import SessionDep
from services.common.problems import Forbidden, NotFound

router = APIRouter(prefix="/mairie/{code}", include_in_schema=False)

WORK, SPEND, MODERATE = "works.manage", "works.spend", "campaigns.manage"
STAFF = (WORK, SPEND, MODERATE)
#: How many works are asked for at once: those of some ten years.
MANY = 200
#: Phases of campaigns that may have works.
PHASES = ("results", "works", "closed")
STARTED = ("under_way", "suspended")
ENDED = ("completed", "abandoned")
MAX_FILES, MAX_PHOTO_BYTES = 10, 10 * 1024 * 1024
#: Steps of a work, and the empty rows that a form offers besides those it has.
MAX_STEPS, MORE_STEPS = 30, 3
PDF = b"%PDF"

#: What asks for attention, the most pressing first.
ATTENTION: Mapping[str, Label] = {
    "late": Label(N_("En retard"), "clock-alert", "clay"),
    "disputed": Label(N_("Fin contestée"), "thumbs-down", "clay"),
    "no_contractor": Label(N_("Sans entreprise"), "hard-hat", "ochre"),
    "unpaid": Label(N_("Facture à payer"), "receipt", "ochre"),
}
_CHANGED = N_(
    "Quelqu'un a changé ces travaux entre-temps : « %(status)s », faits à %(progress)s %%, "
    "payé %(paid)s. Ce que vous avez écrit est gardé : relisez, puis envoyez de nouveau."
)
_TWICE = N_("Chaque étape a un titre à elle.")
_TOO_MANY = N_("Dix fichiers au plus.")
_PROGRESS = N_("Un nombre de 0 à 100.")
_LESS = N_("C'est moins que ce qui était annoncé : dites pourquoi, pour le public.")
_WHY = N_("Dites pourquoi : tout le monde le lira.")

Word = Annotated[str, Query(max_length=40)]


def staff(request: Request, code: str) -> None:
    """Raise ``Forbidden`` unless the person builds, pays or runs the campaigns of the commune."""
    if not _is_staff(request, code):
        try:
            require(request, WORK, code)
        except Forbidden:
            if not _is_staff(request, code):  # with the token that was renewed just now
                raise


def _is_staff(request: Request, code: str) -> bool:
    who = signed_in(request)
    return any(who.can(permission, code) for permission in STAFF)


def own(api: Api, code: str, ref: str) -> Json:
    """Return a work of the commune; another's is not found at this desk."""
    found: Json = api.budget("works", ref)
    if found["commune"] != code:
        raise NotFound
    return found


def needs(work: Json) -> list[str]:
    """Return what about a work asks for attention: keys of :data:`ATTENTION`."""
    found = {
        "late": work["delayed"] and work["status"] not in ENDED,
        "disputed": work["status"] == "completed" and work["disputed"] > 0,
        "no_contractor": work["status"] in STARTED and not work["contractor"],
        "unpaid": work["invoiced"] > work["paid"],
    }
    return [name for name in ATTENTION if found[name]]


# All works


@router.get("/travaux")
def works(
    code: str,
    request: Request,
    places: PlacesDep,
    api: ApiDep,
    session: SessionDep,
    campaign: Word = "",
    status: Word = "",
    voir: Word = "",
    cursor: Annotated[str | None, Query(max_length=400)] = None,
) -> Response:
    """List the works of all campaigns, with their sums and what asks for attention."""
    commune = places.commune(code)
    staff(request, code)
    campaigns = {c["id"]: c["title"] for c in api.campaigns(commune=code) if c["phase"] in PHASES}
    chosen = {
        "campaign": base.known(campaign, campaigns),
        "status": base.known(status, labels.WORKS),
        "voir": base.known(voir, ATTENTION),
    }
    asked = {name: chosen[name] or None for name in ("campaign", "status")}
    answer = api.budget("works", commune=code, limit=MANY, cursor=cursor, **asked)
    disputed = {
        one["ref"]: one["disputed"] for c in campaigns for one in queries.works(session, UUID(c))
    }
    names = base.place_names(places, code)
    found = []
    for feature in answer["features"]:
        one = base.located(feature["properties"], names)
        one["disputed"] = disputed.get(one["ref"], 0)
        found.append({**one, "needs": needs(one), "campaign_title": campaigns.get(one["campaign"])})
    shown = [one for one in found if not chosen["voir"] or chosen["voir"] in one["needs"]]
    path = f"/mairie/{code}/travaux"
    return render(
        request,
        "desk/works.html",
        commune=commune,
        nav="desk",
        tab="works",
        base=path,
        campaigns=list(campaigns.items()),
        chosen=chosen,
        attention=ATTENTION,
        counts={name: sum(name in one["needs"] for one in found) for name in ATTENTION},
        every=len(found),
        works=shown,
        totals={n: sum(one[n] for one in shown) for n in ("voted_cost", *SUMS)},
        following=base.following(path, chosen, answer),
        later=cursor is not None,
    )


#: The sums of a work, and what is left of the voted cost.
SUMS = ("committed", "invoiced", "paid", "balance")


# One work


@router.get("/travaux/{ref}")
def work(
    code: str,
    ref: str,
    request: Request,
    places: PlacesDep,
    api: ApiDep,
    fait: Word = "",
    ligne: Annotated[str, Query(max_length=8)] = "",
) -> Response:
    """Show one work with its ledger, and the acts that are open to this person."""
    _ = gettext(request)
    staff(request, code)
    notice = _("C'est enregistré.") if fait else ""
    if ligne.isascii() and ligne.isdigit():
        notice = _("La ligne n° %(number)s est écrite dans les comptes.") % {"number": ligne}
    return _show(request, places, own(api, code, ref), Form(), notice=notice)


def _show(
    request: Request,
    places: Places,
    found: Json,
    form: Form,
    *,
    kept: Sequence[str] = (),
    notice: str = "",
    status: int = 200,
) -> Response:
    code = found["commune"]
    said = found["confirmations"]
    found = base.located(found, base.place_names(places, code)) | {"disputed": said["disputed"]}
    steps = milestones(found["milestones"])
    return render(
        request,
        "desk/work.html",
        status=status,
        commune=places.commune(code),
        nav="desk",
        tab="works",
        work=found,
        base=f"/mairie/{code}/travaux/{found['ref']}",
        needs=needs(found),
        attention=ATTENTION,
        steps=steps,
        waiting=[(one["id"], one["title"]) for one in steps if not one["reached_on"]],
        rows=_step_rows(form, steps),
        journal=found["journal"][::-1],
        entries=running(found["ledger"], found["voted_cost"]),
        today=today(),
        first=FIRST.get(found["status"], ""),
        kept=kept,
        papers=[],
        form=form,
        notice=notice,
    )


#: The act that a work of this state most often waits for: its form is open.
FIRST: Mapping[str, str] = {
    "planned": "etat",
    "tendering": "entreprise",
    "under_way": "avancement",
    "suspended": "etat",
}


def today() -> str:
    """Return the day in Bénin, as a form's date is written."""
    return datetime.now(TIMEZONE).date().isoformat()


def _step_rows(form: Form, steps: Sequence[Json]) -> list[Json]:
    """Return the rows of the steps' form: as they were typed, or as they are and some empty."""
    typed = form.values["form"] == "etapes"
    rows = [
        {"title": one["title"], "planned_on": one["planned_on"] or "", "reached": one["reached_on"]}
        for one in steps
    ]
    rows += [{"title": "", "planned_on": "", "reached": None}] * MORE_STEPS
    for number, row in enumerate(rows, 1) if typed else ():
        told = {n: form.values[f"etapes_{n}_{number}"] for n in ("title", "planned_on")}
        rows[number - 1] = row | told
    return rows[:MAX_STEPS]


Reading = tuple[tuple[str, ...], Json]


def _plan(request: Request, part: Form, found: Json) -> Reading:
    """Read who builds, and when: only what changes is sent."""
    body: Json = {}
    if part.values["contractor"] != found["contractor"]:
        body["contractor"] = part.values["contractor"]
    for name in ("starts_on", "ends_on"):
        if part.values[name] and part.values[name] != found[name]:
            body[name] = read_day(request, part, name)
    if not body:
        part.notice = gettext(request)(base.REFUSALS["unchanged"][1])
    return (), body


def _status(request: Request, part: Form, found: Json) -> Reading:
    status, note = part.values["status"], part.values["note"]
    if status not in found["allowed"]:
        part.wrong(request, "status")
    if status == "abandoned" and not note:
        part.errors["note"] = gettext(request)(_WHY)
    return ("status",), {"status": status, "note": note}


def _progress(request: Request, part: Form, found: Json) -> Reading:
    _ = gettext(request)
    digits, note = part.values["progress"].removesuffix("%").strip(), part.values["note"]
    good = digits.isascii() and digits.isdigit() and len(digits) < 4 and int(digits) <= 100
    done = int(digits) if good else None
    if done is None:
        part.errors["progress"] = _(_PROGRESS)
    elif done < found["progress"] and not note:
        part.errors["note"] = _(_LESS)
    return ("progress",), {"progress": done, "note": note}


def _steps(request: Request, part: Form, found: Json) -> Reading:
    """Read the steps in order; a row without a title is none."""
    steps = []
    for number in range(1, min(len(found["milestones"]) + MORE_STEPS, MAX_STEPS) + 1):
        title, day = part.values[f"title_{number}"], f"planned_on_{number}"
        if title:
            planned = read_day(request, part, day) if part.values[day] else None
            steps.append({"title": title, "planned_on": planned})
    if len({one["title"] for one in steps}) < len(steps):
        part.errors["milestones"] = gettext(request)(_TWICE)
    return ("milestones",), {"milestones": steps}


def _reached(request: Request, part: Form, found: Json) -> Reading:
    step = base.known(part.values["step"], [one["id"] for one in found["milestones"]])
    if not step:
        part.wrong(request, "step")
    day = read_day(request, part, "reached_on")
    return ("milestones", step, "reached"), {"reached_on": day, "note": part.values["note"]}


def _delay(request: Request, part: Form, _found: Json) -> Reading:
    if not part.values["reason"]:
        part.errors["reason"] = gettext(request)(_WHY)
    day = read_day(request, part, "ends_on")
    return ("delay",), {"ends_on": day, "reason": part.values["reason"]}


def _note(request: Request, part: Form, _found: Json) -> Reading:
    if not part.values["note"]:
        part.wrong(request, "note")
    return ("notes",), {"note": part.values["note"]}


def _completion(request: Request, part: Form, _found: Json) -> Reading:
    if not part.values["note"]:
        part.wrong(request, "note")
    return ("completion",), {"note": part.values["note"]}


def _reopening(request: Request, part: Form, _found: Json) -> Reading:
    if not part.values["reason"]:
        part.errors["reason"] = gettext(request)(_WHY)
    return ("reopen",), {"reason": part.values["reason"]}


def _moderation(_request: Request, part: Form, _found: Json) -> Reading:
    body = {"key": part.values["key"], "hidden": part.values["hidden"] == "1"}
    return ("confirmations", "moderation"), body


#: What may be done to a work: the form's name → how it is read into a path under it and a body.
#: The fields of a form bear its name: ``retard_reason``.
ACTS: Mapping[str, Callable[[Request, Form, Json], Reading]] = {
    "entreprise": _plan,
    "etat": _status,
    "avancement": _progress,
    "etapes": _steps,
    "atteinte": _reached,
    "retard": _delay,
    "nouvelle": _note,
    "fin": _completion,
    "reprise": _reopening,
    "avis": _moderation,
}
METHODS: Mapping[str, str] = {"entreprise": "PATCH", "etapes": "PUT"}
#: Acts on what the agent saw; the others add to it, whatever it is by now.
SEEN = ("entreprise", "etat", "avancement", "etapes", "retard", "fin")
WITH_PHOTOS = ("avancement", "atteinte", "nouvelle", "fin")


@router.post("/travaux/{ref}/{what}")
def change(
    code: str,
    ref: str,
    what: str,
    request: Request,
    places: PlacesDep,
    api: ApiDep,
    sent: CheckedForm,
) -> Response:
    """Do one act on a work; what somebody else did meanwhile is told first."""
    staff(request, code)
    if what not in ACTS:
        raise NotFound
    found = own(api, code, ref)
    form, part = split_form(sent, what)
    path, body = ACTS[what](request, part, found)
    kept: list[str] = []
    if what in WITH_PHOTOS:
        kept = keep_files(request, api, sent, part, what, "photos")
        body["photos"] = kept
    if what in SEEN and (seen := base.whole(form.values["seen"])):
        body["seen"] = seen
    status = 422
    if not part.bad:
        try:
            _act(api, found["ref"], path, body, form.values["idempotency_key"], what)
        except ServiceProblem as problem:
            found, status = _refused(request, api, found, part, problem)
        else:
            return redirect(f"/mairie/{code}/travaux/{found['ref']}?fait={what}")
    join(form, part, what)
    return _show(request, places, found, form, kept=kept, status=status)


def _act(api: Api, ref: str, path: Sequence[str], body: Json, key: str, what: str) -> None:
    api.budget_write("works", ref, *path, body=body, key=key, method=METHODS.get(what, "POST"))


def _refused(
    request: Request, api: Api, found: Json, part: Form, problem: ServiceProblem
) -> tuple[Json, int]:
    """Write a refusal on the form; return the work as it is now, and the page's status."""
    at = {"milestone_reached": "step", "not_a_day": "reached_on", "not_later": "ends_on"}
    base.refuse(request, part, problem, **at)
    if problem.code == "changed_meanwhile":
        part.notice = changed(request, problem.now)
    if problem.status == 409:
        found = own(api, found["commune"], found["ref"])
    return found, 409 if problem.status == 409 else 422


def changed(request: Request, now: Json) -> str:
    """Return a sentence that says how a work is now, for who saw it as it was."""
    _ = gettext(request)
    return _(_CHANGED) % {
        "status": _(labels.work(str(now.get("status_now"))).text),
        "progress": now.get("progress_now", "?"),
        "paid": money(int(now.get("paid_now") or 0)),
    }


# What the forms of a work share, with those of its ledger


def split_form(sent: FormData, what: str) -> tuple[Form, Form]:
    """Return a page's form, and the part of it that the act ``what`` reads, by plain names."""
    form = Form.of({n: v for n, v in sent.items() if not n.endswith("_ids")})
    form.values["form"] = what
    mine = f"{what}_"
    named = {n.removeprefix(mine): v for n, v in form.values.items() if n.startswith(mine)}
    return form, Form(Blank(named))


def join(form: Form, part: Form, what: str) -> None:
    """Write what is wrong with a part at the fields of the whole page."""
    form.notice = part.notice
    form.errors |= {f"{what}_{name}": text for name, text in part.errors.items()}


def read_day(request: Request, part: Form, name: str) -> str:
    """Read a date as forms send it; what is none is written on the form."""
    try:
        return date.fromisoformat(part.values[name]).isoformat()
    except ValueError:
        part.wrong(request, name, "day")
        return ""


def keep_files(
    request: Request, api: Api, sent: FormData, part: Form, what: str, name: str
) -> list[str]:
    """Keep the files that came with an act, earlier ones first; return their ids.

    Photos keep the place where they were taken; a PDF is welcome where ``name`` is ``files``.
    """
    _, too_large = gettext(request), base.REFUSALS["photo_too_large"][1]
    found = [i for i in map(_id, sent.getlist(f"{what}_{name}_ids")) if i]
    for file in sent.getlist(f"{what}_{name}"):
        if not isinstance(file, UploadFile) or not file.size:
            continue
        if len(found) >= MAX_FILES:
            part.errors[name] = _(_TOO_MANY)
            break
        if file.size > MAX_PHOTO_BYTES:
            part.errors[name] = _(too_large)
            continue
        try:
            found.append(_kept(api, file, papers=name == "files"))
        except ServiceProblem as problem:
            fields = dict.fromkeys(_OF_FILES, name)
            base.refuse(request, part, problem, **fields)
    return list(dict.fromkeys(found))[:MAX_FILES]


#: Refusals of a file.
_OF_FILES = (
    "photo_too_large", "too_large", "not_a_photo", "not_a_document", "unsafe_document",
    "document_too_large",
)  # fmt: skip


def _kept(api: Api, file: UploadFile, *, papers: bool) -> str:
    data = file.file.read()
    if papers and data.startswith(PDF):
        return api.budget_file(data, file.filename or "document.pdf")
    return api.budget_file(data, geotag=not papers)


def _id(value: Any) -> str:
    try:
        return str(UUID(str(value)))
    except ValueError:
        return ""
