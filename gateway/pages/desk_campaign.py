"""The desk writes a campaign: text, rules, envelopes, dates; or takes last year's once more."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from fastapi import APIRouter, Request, Response

from gateway import labels
from gateway.clients import Api
from gateway.errors import ServiceProblem
from gateway.labels import N_
from gateway.pages import base, plans, propose
from gateway.pages.base import CampaignId, Form, Json
from gateway.pages.desk_budget import MANAGE, own, page
from gateway.pages.plans import Row
from gateway.places import Places, PlacesDep
from gateway.session import ApiDep, CheckedForm, require
from gateway.web import TIMEZONE, gettext, money, redirect

router = APIRouter(prefix="/mairie/{code}/budget", include_in_schema=False)

#: Whom a campaign may welcome.
KINDS = ("person", "group", "association")
#: Phases in which the rules of who proposes may change.
RULES_OPEN = ("preparation", "ideas")
#: Buttons that change the form and send nothing.
ASIDE = ("divide", "row", "share", "count")
SHIFT, MOST_DAYS = 365, 3650
CHANGED = N_(
    "Quelqu'un a changé cette campagne pendant que vous écriviez : elle s'appelle maintenant "
    "« %(title)s », étape « %(phase)s ». Votre texte est gardé. Relisez, puis enregistrez."
)
OVER = N_("Les enveloppes dépassent le budget de %(over)s.")


@dataclass
class Parts:
    """How the budget is divided on a form."""

    division: str
    rows: list[Row]


@router.get("/nouvelle")
def new_campaign(code: str, request: Request, places: PlacesDep) -> Response:
    """Give the form of a campaign, its dates filled in."""
    _ = gettext(request)
    require(request, MANAGE, code)
    day = datetime.now(TIMEZONE).date()
    form = Form()
    form.values |= plans.usual_dates(day) | {"endorsements_needed": "0"}
    form.values["title"] = _("Budget participatif %(year)s") % {"year": day.year + 1}
    form.values |= {f"author_{kind}": "1" for kind in KINDS}
    return _new(code, request, places, form, Parts(plans.ONE, []), [])


def _new(
    code: str, request: Request, places: Places, form: Form, parts: Parts, pictures: Sequence[str]
) -> Response:
    return page(
        request,
        places,
        code,
        "desk/new_campaign.html",
        bad=form.bad,
        pictures=[{"id": one, "alt": ""} for one in pictures],
        phases=plans.PHASES,
        optional=plans.OPTIONAL,
        **_shown(request, places, code, form, parts),
    )


def _shown(request: Request, places: Places, code: str, form: Form, parts: Parts) -> Json:
    """Return what both forms show of rules and envelopes."""
    areas, themes = _purposes(request, places, code)
    return {
        "form": form,
        "kinds": KINDS,
        "parts": parts,
        "divisions": plans.DIVISIONS,
        "presets": {d: plans.preset(d, areas, themes) for d in plans.DIVISIONS},
        "areas": areas,
        "themes": themes,
        "most_rows": plans.MOST_ROWS,
        "rest": plans.rest(base.amount(form.values["budget"]) or 0, parts.rows),
        "rules_open": True,
    }


def _purposes(request: Request, places: Places, code: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return the arrondissements and the themes that an envelope may be for."""
    _ = gettext(request)
    themes = {name: _(label.text) for name, label in labels.THEMES.items()}
    return plans.counted(base.place_names(places, code)), themes


@router.post("/nouvelle")
def create_campaign(
    code: str, request: Request, places: PlacesDep, api: ApiDep, sent: CheckedForm
) -> Response:
    """Announce a campaign; it starts in preparation."""
    require(request, MANAGE, code)
    form = Form.of({name: value for name, value in sent.items() if name != "photo_ids"})
    pictures = propose.keep_photos(request, api, sent, form)
    parts = _parts(request, places, code, form)
    if form.values["do"] in ASIDE:
        return _new(code, request, places, form, parts, pictures)
    body = _texts(request, form) | _rules(request, form) | _money(request, form, parts)
    phases, wrong = plans.read_phases(form.values)
    for phase in wrong:
        form.wrong(request, f"{phase}_opens", "phases")
    if not form.bad:
        body |= {"commune": code, "phases": phases, "pictures": pictures}
        try:
            made = api.budget_write("campaigns", body=body, key=form.values["idempotency_key"])
        except ServiceProblem as problem:
            base.refuse(request, form, problem, over_budget="envelopes")
        else:
            return redirect(f"/mairie/{code}/budget/{made['id']}")
    return _new(code, request, places, form, parts, pictures)


def _parts(request: Request, places: Places, code: str, form: Form) -> Parts:
    """Read the envelopes, and do with them what an aside button asks."""
    areas, themes = _purposes(request, places, code)
    division = base.known(form.values["division"], plans.DIVISIONS) or plans.ONE
    do = form.values["do"]
    rows = plans.read_rows(form.values, [*areas, *(f"theme:{code}" for code in themes)])
    if division == plans.ONE:
        rows = []
    elif do == "divide":
        rows = plans.preset(division, areas, themes)
    elif do == "row" and len(rows) < plans.MOST_ROWS:
        rows.append(Row())
    elif do == "share":
        rows = plans.share(base.amount(form.values["budget"]) or 0, rows, division)
    return Parts(division, rows)


def _texts(request: Request, form: Form) -> Json:
    if not form.values["title"]:
        form.wrong(request, "title")
    return {
        "title": form.values["title"],
        "description": form.values["description"],
        "automatic": form.values["automatic"] == "1",
    }


def _rules(request: Request, form: Form) -> Json:
    """Read who may propose, how many projects each, and how much support it takes."""
    values = form.values
    kinds = [kind for kind in KINDS if values[f"author_{kind}"] == "1"]
    most = _whole(values["proposals_per_author"])
    needed = _whole(values["endorsements_needed"] or "0")
    for name, good in (
        ("author_kinds", bool(kinds)),
        ("proposals_per_author", bool(most) or not values["proposals_per_author"]),
        ("endorsements_needed", needed is not None),
    ):
        if not good:
            form.wrong(request, name)
    return {"author_kinds": kinds, "proposals_per_author": most, "endorsements_needed": needed}


def _whole(text: str) -> int | None:
    digits = "".join(text.split())
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 8 else None


def _money(request: Request, form: Form, parts: Parts) -> Json:
    """Read the budget and its envelopes; a row without an amount is none."""
    _ = gettext(request)
    budget = base.amount(form.values["budget"])
    if not budget:
        form.wrong(request, "budget")
    if any(row.wrong for row in parts.rows):
        form.wrong(request, "envelopes")
    over = -plans.rest(budget or 0, parts.rows)
    if budget and over > 0 and "envelopes" not in form.errors:
        form.errors["envelopes"] = _(OVER) % {"over": money(over)}
    return {"budget": budget, "envelopes": [row.sent for row in parts.rows if row.amount]}


# Another text, other rules


@router.get("/{campaign}/modifier")
def edit(
    code: str, campaign: CampaignId, request: Request, places: PlacesDep, api: ApiDep
) -> Response:
    """Give the form that changes a campaign, as far as its phase still allows."""
    require(request, MANAGE, code)
    found = own(api, code, campaign)
    form = Form()
    most = found["proposals_per_author"]
    form.values |= {
        "title": found["title"],
        "description": found["description"],
        "automatic": "1" if found["automatic"] else "",
        "proposals_per_author": str(most) if most else "",
        "endorsements_needed": str(found["endorsements_needed"]),
        "budget": plans.written(found["budget"]),
        "seen": str(found["version"]),
    }
    form.values |= {f"author_{kind}": "1" for kind in found["author_kinds"]}
    parts = Parts(plans.division_of(found), plans.rows_of(found))
    pictures = [one["id"] for one in found["pictures"]]
    return _edit(request, places, found, form, parts, pictures)


def _edit(
    request: Request,
    places: Places,
    campaign: Json,
    form: Form,
    parts: Parts,
    pictures: Sequence[str],
) -> Response:
    shown = _shown(request, places, campaign["commune"], form, parts)
    shown["rules_open"] = campaign["phase"] in RULES_OPEN
    alts = {one["id"]: one["alt"] for one in campaign["pictures"]}
    return page(
        request,
        places,
        campaign["commune"],
        "desk/edit_campaign.html",
        bad=form.bad,
        campaign=campaign,
        pictures=[{"id": one, "alt": alts.get(one, "")} for one in pictures],
        **shown,
    )


@router.post("/{campaign}/modifier")
def change(
    code: str,
    campaign: CampaignId,
    request: Request,
    places: PlacesDep,
    api: ApiDep,
    sent: CheckedForm,
) -> Response:
    """Change a campaign; what somebody else changed meanwhile is told first."""
    require(request, MANAGE, code)
    found = own(api, code, campaign)
    form = Form.of({name: value for name, value in sent.items() if name != "photo_ids"})
    pictures = propose.keep_photos(request, api, sent, form)
    parts = _parts(request, places, code, form)
    if form.values["do"] in ASIDE:
        return _edit(request, places, found, form, parts, pictures)
    body = _texts(request, form) | {"pictures": pictures}
    if found["phase"] in RULES_OPEN:
        body |= _rules(request, form)
    if found["phase"] == "preparation":
        body |= _money(request, form, parts)
    if (seen := _whole(form.values["seen"])) is not None:
        body["seen"] = seen
    if not form.bad:
        try:
            _patch(api, campaign, body, form.values["idempotency_key"])
        except ServiceProblem as problem:
            found = _refused(request, own(api, code, campaign), form, problem)
        else:
            return redirect(f"/mairie/{code}/budget/{campaign}")
    return _edit(request, places, found, form, parts, pictures)


def _patch(api: Api, campaign: str, body: Json, key: str) -> None:
    api.budget_write("campaigns", campaign, body=body, key=key, method="PATCH")


def _refused(request: Request, now: Json, form: Form, problem: ServiceProblem) -> Json:
    """Write a refusal on the form and return the campaign as it is now."""
    _ = gettext(request)
    base.refuse(request, form, problem, over_budget="envelopes")
    if problem.code == "changed_meanwhile":
        phase = _(labels.phase(now["phase"]).text)
        form.notice = _(CHANGED) % {"title": now["title"], "phase": phase}
        form.values["seen"] = str(now["version"])
    return now


# Last year's campaign, once more


@router.get("/{campaign}/cloner")
def cloning(
    code: str, campaign: CampaignId, request: Request, places: PlacesDep, api: ApiDep
) -> Response:
    """Give the form that begins a campaign after this one."""
    _ = gettext(request)
    require(request, MANAGE, code)
    found = own(api, code, campaign)
    form = Form()
    year = datetime.now(TIMEZONE).year + 1
    form.values |= {
        "title": _("Budget participatif %(year)s") % {"year": year},
        "shift": str(SHIFT),
        "budget": plans.written(found["budget"]),
    }
    return _cloning(request, places, found, form)


def _cloning(request: Request, places: Places, campaign: Json, form: Form) -> Response:
    days = _whole(form.values["shift"]) or 0
    by = timedelta(days=min(days, MOST_DAYS))
    dates = plans.dates_of(campaign)
    return page(
        request,
        places,
        campaign["commune"],
        "desk/clone_campaign.html",
        bad=form.bad,
        campaign=campaign,
        form=form,
        dates=[(one, plans.shifted(one, by)) for one in dates],
    )


@router.post("/{campaign}/cloner")
def clone(
    code: str,
    campaign: CampaignId,
    request: Request,
    places: PlacesDep,
    api: ApiDep,
    sent: CheckedForm,
) -> Response:
    """Begin a campaign with this one's rules, texts and envelopes, so many days later."""
    require(request, MANAGE, code)
    found = own(api, code, campaign)
    form = Form.of(sent)
    values = form.values
    days, budget = _whole(values["shift"]), base.amount(values["budget"])
    for name, good in (
        ("title", bool(values["title"])),
        ("shift", days is not None and 1 <= days <= MOST_DAYS),
        ("budget", bool(budget)),
    ):
        if not good:
            form.wrong(request, name)
    if not form.bad and values["do"] not in ASIDE:
        body = {"title": values["title"], "shift_days": days, "budget": budget}
        key = values["idempotency_key"]
        try:
            made = api.budget_write("campaigns", campaign, "clone", body=body, key=key)
        except ServiceProblem as problem:
            base.refuse(request, form, problem, over_budget="budget")
        else:
            return redirect(f"/mairie/{code}/budget/{made['id']}")
    return _cloning(request, places, found, form)
