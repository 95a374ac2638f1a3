"""The town hall's settings: routing rules, target times, the agents' directory, API keys."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from starlette.datastructures import FormData

from gateway import labels
from gateway.clients import Api
from gateway.errors import ServiceProblem
from gateway.labels import N_
from gateway.pages import base
from gateway.pages.base import Form, Json
from gateway.places import Places, PlacesDep
from gateway.session import ApiDep, CheckedForm, require
from gateway.web import gettext, redirect, render

router = APIRouter(prefix="/mairie/{code}/reglages", include_in_schema=False)

MANAGE = "reports.manage"
CLIENTS = "clients.manage"
GRANT = "roles.grant"

#: The fields of a rule, as the form repeats them and as the service names them.
RULE = ("category", "arrondissement", "from_time", "to_time", "agency")
#: As many rules as a form may hold (:data:`gateway.session.MAX_FIELDS`).
MAX_ROWS = 70
#: The pasts that rules can be tried on, in days.
PASTS = (30, 90, 365)
MAX_DAYS = 250
CHANGED = "changed_meanwhile"
_HOUR = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")

Fait = Annotated[str, Query(max_length=6)]


def _page(request: Request, places: Places, code: str, name: str, **context: object) -> Response:
    form = context.setdefault("form", Form())
    assert isinstance(form, Form)  # noqa: S101
    return render(
        request,
        f"desk/{name}.html",
        status=422 if form.bad else 200,
        commune=places.commune(code),
        nav="desk",
        tab="settings",
        base=f"/mairie/{code}/reglages",
        **context,
    )


@router.get("")
def settings(code: str, request: Request, places: PlacesDep, api: ApiDep) -> Response:
    """List what can be set, and how it stands."""
    who = require(request, MANAGE, code)
    return _page(
        request,
        places,
        code,
        "settings",
        rules=len(api.desk(code, "routing")["rules"]),
        own=sum(target["own"] for target in api.desk(code, "targets")["targets"]),
        agents=len(api.desk(code, "agents")),
        keys=sum(not one["revoked_at"] for one in api.desk(code, "clients"))
        if who.can(CLIENTS, code)
        else None,
    )


# Routing rules


@router.get("/aiguillage")
def routing(
    code: str, request: Request, places: PlacesDep, api: ApiDep, fait: Fait = ""
) -> Response:
    """Show the commune's rules as a form."""
    require(request, MANAGE, code)
    _ = gettext(request)
    present = api.desk(code, "routing")
    rows = [{name: rule[name] or "" for name in RULE} for rule in present["rules"]]
    notice = _("Règles enregistrées : elles valent dès maintenant.") if fait else ""
    return _routing(request, places, api, code, rows, present["hash"], notice=notice)


def _routing(
    request: Request,
    places: Places,
    api: Api,
    code: str,
    rows: Sequence[Mapping[str, str]],
    expected: str,
    **more: object,
) -> Response:
    return _page(
        request,
        places,
        code,
        "routing",
        rows=rows,
        expected=expected,
        most=MAX_ROWS,
        pasts=PASTS,
        names=base.place_names(places, code),
        usual=[(one["code"], one["agency"]) for one in api.categories()],
        **{"trial": None, "days": PASTS[0], "theirs": None, "pending": "", **more},
    )


def rules_of(sent: FormData) -> list[dict[str, str]]:
    """Return the rows of the form, in order: each field came once a row."""
    columns = [[str(value).strip() for value in sent.getlist(name)] for name in RULE]
    return [dict(zip(RULE, row, strict=True)) for row in zip(*columns, strict=False)]


def rearranged(rows: Sequence[dict[str, str]], what: str, at: int) -> list[dict[str, str]]:
    """Return the rows with one added, taken away, or moved a place up or down."""
    found = list(rows)
    if what == "add" and len(found) < MAX_ROWS:
        found.append(dict.fromkeys(RULE, ""))
    if what == "remove" and 0 <= at < len(found):
        del found[at]
    first = {"up": at - 1, "down": at}.get(what, -1)
    if 0 <= first < len(found) - 1:
        found[first : first + 2] = found[first + 1], found[first]
    return found


#: What a button of the form did, said above it.
DONE: Mapping[str, str] = {
    "add": N_("Une règle vide est ajoutée à la fin."),
    "remove": N_("La règle est retirée de la liste."),
    "up": N_("La règle est montée d'une place."),
    "down": N_("La règle est descendue d'une place."),
}


@router.post("/aiguillage")
def change_routing(
    code: str, request: Request, places: PlacesDep, api: ApiDep, sent: CheckedForm
) -> Response:
    """Rearrange the form, try its rules on the past, or save them."""
    require(request, MANAGE, code)
    _ = gettext(request)
    form = Form.of({name: sent[name] for name in sent if name not in RULE})
    rows = rules_of(sent)
    what, _colon, at = form.values["do"].partition(":")
    place = int(at) if at.isdecimal() and len(at) < 4 else -1
    if what in DONE:
        rows = rearranged(rows, what, place)
        pending = _(DONE[what])
        return _routing(request, places, api, code, rows, form.values["expected"], pending=pending)
    body = {"rules": _rules(request, form, rows, base.place_names(places, code))}
    if form.bad:
        return _routing(request, places, api, code, rows, form.values["expected"], form=form)
    if what == "save":
        return _save_routing(request, places, api, code, rows, form, body)
    days = next((n for n in PASTS if form.values["days"] == str(n)), PASTS[0])
    since = datetime.now(UTC) - timedelta(days=days)
    try:
        trial = api.desk_write(code, "routing/dry-run", {**body, "since": since.isoformat()})
    except ServiceProblem as problem:
        base.refuse(request, form, problem)
        return _routing(request, places, api, code, rows, form.values["expected"], form=form)
    return _routing(
        request,
        places,
        api,
        code,
        rows,
        form.values["expected"],
        trial=trial | {"table": matrix(trial["matrix"])},
        days=days,
        pending=_("C'est un essai : rien n'est encore enregistré."),
    )


def _rules(
    request: Request, form: Form, rows: Sequence[Mapping[str, str]], names: Mapping[str, str]
) -> list[Json]:
    """Read rows into rules; what is wrong is written on the form at ``rule-0``, ``rule-1``…"""
    _ = gettext(request)
    for n, row in enumerate(rows):
        hours = [row["from_time"][:5], row["to_time"][:5]]
        if row["agency"] not in labels.AGENCIES:
            text = _("Règle %(number)s : choisissez un service.")
        elif row["category"] and row["category"] not in labels.CATEGORIES:
            text = _("Règle %(number)s : choisissez une catégorie de la liste.")
        elif row["arrondissement"] and row["arrondissement"] not in names:
            text = _("Règle %(number)s : choisissez un arrondissement de la liste.")
        elif any(hours) and not (all(map(_HOUR.fullmatch, hours)) and hours[0] != hours[1]):
            text = _("Règle %(number)s : donnez deux heures différentes, ou aucune.")
        else:
            continue
        form.errors[f"rule-{n}"] = text % {"number": n + 1}
    return [
        {name: row[name][:5] if name.endswith("_time") else row[name] for name in RULE if row[name]}
        for row in rows
    ]


def matrix(moves: Sequence[Json]) -> Json:
    """Return how many reports go from each service (a row) to each (a column)."""
    order = list(labels.AGENCIES)
    counts = {(move["from"], move["to"]): move["count"] for move in moves}
    columns = sorted({to for _, to in counts}, key=order.index)
    return {
        "columns": columns,
        "rows": [
            {"from": source, "counts": [counts.get((source, to), 0) for to in columns]}
            for source in sorted({source for source, _ in counts}, key=order.index)
        ],
    }


def _save_routing(
    request: Request,
    places: Places,
    api: Api,
    code: str,
    rows: Sequence[Mapping[str, str]],
    form: Form,
    body: Json,
) -> Response:
    _ = gettext(request)
    expected = form.values["expected"]
    body["expected"] = expected or None
    try:
        api.desk_write(code, "routing", body, key=form.values["idempotency_key"], method="PUT")
    except ServiceProblem as problem:
        theirs = None
        if problem.code == CHANGED:
            # Both lists are shown; saving once more is a choice between them.
            present = api.desk(code, "routing")
            expected, theirs = present["hash"], present["rules"]
            form.notice = _(
                "Quelqu'un a changé ces règles entre-temps. Rien n'est perdu : voici sa liste, "
                "puis la vôtre."
            )
        else:
            base.refuse(request, form, problem)
        return _routing(request, places, api, code, rows, expected, form=form, theirs=theirs)
    return redirect(f"/mairie/{code}/reglages/aiguillage?fait=1")


# Target times


@router.get("/delais")
def targets(
    code: str, request: Request, places: PlacesDep, api: ApiDep, fait: Fait = ""
) -> Response:
    """Show the days to answer and to repair each category as a form."""
    require(request, MANAGE, code)
    moved = int(fait) if fait.isdecimal() else None
    return _targets(request, places, code, api.desk(code, "targets"), Form(), moved)


def _targets(
    request: Request,
    places: Places,
    code: str,
    present: Json,
    form: Form,
    moved: int | None = None,
) -> Response:
    return _page(request, places, code, "targets", present=present, form=form, moved=moved)


@router.post("/delais")
def set_targets(
    code: str, request: Request, places: PlacesDep, api: ApiDep, sent: CheckedForm
) -> Response:
    """Save the commune's own targets; say how many open reports are due at another time."""
    require(request, MANAGE, code)
    _ = gettext(request)
    form = Form.of(sent)
    present = api.desk(code, "targets")
    own = _own_targets(request, form, present["targets"])
    if not form.bad:
        body = {"targets": own, "expected": form.values["expected"] or None}
        key = form.values["idempotency_key"]
        try:
            done = api.desk_write(code, "targets", body, key=key, method="PUT")
        except ServiceProblem as problem:
            if problem.code == CHANGED:
                form.notice = _(
                    "Quelqu'un a changé ces délais entre-temps. Les vôtres sont gardés dans les "
                    "cases : vérifiez, puis enregistrez de nouveau."
                )
            else:
                base.refuse(request, form, problem)
        else:
            return redirect(f"/mairie/{code}/reglages/delais?fait={done['changed']}")
    return _targets(request, places, code, present, form)


def _own_targets(request: Request, form: Form, present: Sequence[Json]) -> list[Json]:
    """Read the targets that are the commune's own: not left empty, not left as usual."""
    _ = gettext(request)
    found = []
    for target in present:
        category = target["category"]
        given = [form.values[f"{what}-{category}"] for what in ("answer", "repair")]
        usual = [str(target["answer_days"]), str(target["repair_days"])]
        if not any(given) or (given == usual and not target["own"]):
            continue
        days = [int(text) if text.isdecimal() and len(text) < 4 else -1 for text in given]
        if not 0 <= days[0] <= days[1] <= MAX_DAYS:
            form.errors[f"answer-{category}"] = _(
                "%(category)s : deux nombres de jours, la réponse avant la réparation, 250 au plus."
            ) % {"category": _(labels.category(category).text)}
            continue
        found.append({"category": category, "answer_days": days[0], "repair_days": days[1]})
    return found


# The directory


@router.get("/annuaire")
def agents(
    code: str, request: Request, places: PlacesDep, api: ApiDep, fait: Fait = ""
) -> Response:
    """Show who works at the desk, oneself first."""
    require(request, MANAGE, code)
    _ = gettext(request)
    notice = _("L'annuaire est à jour.") if fait else ""
    return _agents(request, places, api, code, Form(), notice)


def _agents(
    request: Request, places: Places, api: Api, code: str, form: Form, notice: str = ""
) -> Response:
    who = require(request, MANAGE, code)
    found = api.desk(code, "agents")
    me = str(who.user_id)
    mine = next((one for one in found if one["user_id"] == me), None)
    return _page(
        request,
        places,
        code,
        "agents",
        form=form,
        notice=notice,
        me=me,
        mine=mine,
        others=[one for one in found if one["user_id"] != me],
        may_change=who.can(GRANT, code),
    )


@router.post("/annuaire")
def change_agents(
    code: str, request: Request, places: PlacesDep, api: ApiDep, sent: CheckedForm
) -> Response:
    """Write oneself (or, for who grants roles, a colleague) into the directory, or out of it."""
    require(request, MANAGE, code)
    form = Form.of(sent)
    values = form.values
    key = values["idempotency_key"]
    try:
        if values["do"] == "remove":
            api.desk_write(code, f"agents/{values['user_id']}", {}, key=key, method="DELETE")
        else:
            body = {"name": values["name"], "agency": values["agency"] or None}
            body["user_id"] = values["user_id"] or None
            api.desk_write(code, "agents", body, key=key, method="PUT")
    except ServiceProblem as problem:
        if problem.code != "agent_not_found":
            return _agents(request, places, api, code, base.refuse(request, form, problem))
    return redirect(f"/mairie/{code}/reglages/annuaire?fait=1")


# Keys of other applications


@router.get("/cles")
def clients(code: str, request: Request, places: PlacesDep, api: ApiDep) -> Response:
    """Show the applications that may send reports, and how they do it."""
    require(request, CLIENTS, code)
    return _clients(request, places, api, code, Form())


def _clients(
    request: Request,
    places: Places,
    api: Api,
    code: str,
    form: Form,
    issued: Json | None = None,
    notice: str = "",
) -> Response:
    found = api.desk(code, "clients")
    return _page(
        request,
        places,
        code,
        "clients",
        form=form,
        issued=issued,
        notice=notice,
        live=[one for one in found if not one["revoked_at"]],
        ended=[one for one in found if one["revoked_at"]],
        address=f"{request.url.scheme}://{request.url.netloc}/open311",
    )


@router.post("/cles")
def change_clients(
    code: str, request: Request, places: PlacesDep, api: ApiDep, sent: CheckedForm
) -> Response:
    """Give an application a key, shown this once, or end one for good."""
    require(request, CLIENTS, code)
    _ = gettext(request)
    form = Form.of(sent)
    key = form.values["idempotency_key"]
    try:
        if form.values["do"] == "revoke":
            path = f"clients/{form.values['client']}"
            ended = api.desk_write(code, path, {}, key=key, method="DELETE")
            told = _("La clé de « %(name)s » ne vaut plus rien.") % {"name": ended["name"]}
            return _clients(request, places, api, code, Form(), notice=told)
        body = {"name": form.values["name"], "test": bool(form.values["test"])}
        issued = api.desk_write(code, "clients", body, key=key)
    except ServiceProblem as problem:
        return _clients(request, places, api, code, base.refuse(request, form, problem))
    return _clients(request, places, api, code, Form(), issued=issued)
