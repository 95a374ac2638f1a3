"""The mairie's study of proposals: what waits, who is to look, the grid, the outcome."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from starlette.datastructures import FormData, UploadFile

from gateway import labels
from gateway.clients import Api
from gateway.errors import ServiceDown, ServiceProblem
from gateway.labels import N_
from gateway.locator import locator
from gateway.pages import base
from gateway.pages.base import Form, Json
from gateway.pages.desk_budget import MANAGE, REVIEW, shortlist
from gateway.pages.proposals import Site, SiteDep, Word
from gateway.pages.propose import TOO_MUCH
from gateway.projections import queries
from gateway.projections.linked import linked_reports
from gateway.session import CheckedForm, person, require
from gateway.web import day, gettext, money, redirect, render
from services.common.problems import NotFound

router = APIRouter(prefix="/mairie/{code}", include_in_schema=False)

PAGE = 25
PROPOSAL = "/propositions/{ref}"
#: Files of one criterion, and bytes of one of them.
MAX_FILES, MAX_FILE_BYTES = 10, 10 * 1024 * 1024
PDF = b"%PDF-"
#: How many similar proposals are shown, and how much of a description finds them.
SIMILAR, READ = 5, 1000
#: Phases in which proposals can be merged, and the status that they have then.
MERGING, MERGEABLE = ("ideas", "review"), "submitted"
#: Criteria that only a change of the project heals: said beforehand, decided by the service.
BLOCKING = ("legal", "land")

#: What was just done → the words that say so.
DONE: Mapping[str, str] = {
    "etude": N_("L'étude est publiée."),
    "critere": N_("L'avis sur ce critère est enregistré."),
    "service": N_("Le projet est confié à ce service."),
    "service-retire": N_("Le projet est retiré à ce service."),
}
#: A conflict's code → what is said above the form.
OVERTAKEN: Mapping[str, str] = {
    "changed_meanwhile": N_(
        "Quelque chose a changé pendant que vous écriviez. Relisez, puis"
        " envoyez de nouveau : ce que vous avez écrit est gardé."
    ),
    "already_reviewed": N_("Une étude a été publiée pendant que vous écriviez : elle fait foi."),
    "not_reviewable": N_(
        "Ce projet n'est plus à étudier : il a été retiré, réuni à un autre ou masqué."
    ),
    "wrong_phase": N_("L'étape de la campagne ne permet plus d'étudier ce projet."),
    "not_enough_endorsements": N_(
        "Ce projet n'a pas encore les soutiens demandés : %(have)s sur %(needed)s."
    ),
}
#: What happened to a proposal since it was opened, as its events are called.
STEPS: Mapping[str, str] = {
    "revised": N_("Le texte a été modifié : version %(revision)s."),
    "answered": N_("L'auteur a répondu à l'étude."),
    "merged": N_("Le projet a été réuni à un autre."),
    "unmerged": N_("Le projet a été séparé d'un autre."),
    "withdrawn": N_("Son auteur a retiré le projet."),
    "visibility_changed": N_("Le projet a été masqué ou montré de nouveau."),
}
CONTRADICTS = N_(
    "Cette conclusion contredit la grille, où ceci n'est pas rempli : %(criteria)s. Demandez des"
    " changements, concluez « Non réalisable », ou corrigez la grille."
)


# The queue


@router.get("/etudes")
def queue(
    code: str,
    site: SiteDep,
    campagne: Word = "",
    service: Word = "",
    etat: Word = "",
    cursor: str | None = Query(None, max_length=400),
) -> Response:
    """List what the mairie has to study, what waits longest first."""
    commune = site.places.commune(code)
    require(site.request, REVIEW, code)
    campaigns = site.api.campaigns(commune=code)
    chosen = {
        "campagne": base.known(campagne, [one["id"] for one in campaigns]),
        "service": base.known(service, labels.SERVICES),
        "etat": base.known(etat, labels.STUDIES),
    }
    answer = site.api.budget(
        "reviews",
        "queue",
        commune=code,
        campaign=chosen["campagne"] or None,
        service=chosen["service"] or None,
        state=chosen["etat"] or None,
        limit=PAGE,
        cursor=cursor,
    )
    names = base.place_names(site.places, code)
    items = [base.located(one, names) for one in answer["items"]]
    shares = _shares(site, {one["campaign"] for one in items})
    for one in items:
        one["share"] = shares.get(one["id"])
        due = [a["due_on"] for a in one["assignments"] if a["due_on"] and not a["done"]]
        one["due_on"] = min(due, default=None)
    path = f"/mairie/{code}/etudes"
    kept = {name: value for name, value in chosen.items() if value}
    return render(
        site.request,
        "desk/review_queue.html",
        commune=commune,
        nav="desk",
        tab="review",
        campaigns=campaigns,
        chosen=chosen,
        counts=answer["counts"],
        items=items,
        base=path,
        following=base.following(path, kept, answer),
        later=cursor is not None,
    )


def _shares(site: Site, campaigns: Iterable[str]) -> dict[str, Json]:
    """Return each proposal's envelope, by the proposal's id, as far as the gateway knows it."""
    found: dict[str, Json] = {}
    for campaign in campaigns:
        envelopes = {one["id"]: one for one in shortlist(site.api, campaign)}
        for row in queries.proposals(site.session, UUID(campaign)):
            if str(row["envelope"]) in envelopes:
                found[str(row["id"])] = envelopes[str(row["envelope"])]
    return found


# One proposal


def _own(api: Api, code: str, ref: str) -> Json:
    found = api.proposal(ref)
    if found["commune"] != code:
        raise NotFound
    return found


@router.get(PROPOSAL)
def proposal(code: str, ref: str, site: SiteDep, fait: Word = "") -> Response:
    """Show a proposal with all that its study needs."""
    require(site.request, REVIEW, code)
    found = _own(site.api, code, ref)
    if found["status"] == "draft":  # not yet anybody's to study
        return redirect(f"/propositions/{found['ref']}")
    return _show(site, code, ref, Form(), done=DONE.get(fait, ""))


def _show(
    site: Site, code: str, ref: str, form: Form, *, done: str = "", now: Json | None = None
) -> Response:
    """Give the page of a study: ``now`` is what a conflict said of how things are."""
    request, api = site.request, site.api
    _ = gettext(request)
    found = _own(api, code, ref)
    names = base.place_names(site.places, code)
    campaign = api.campaign(found["campaign"])
    sheet = api.budget("proposals", found["ref"], "review")
    judged = {one["criterion"]: one for one in sheet["criteria"]}
    open_now = "review" in sheet["may"]
    place = names.get(found["arrondissement"] or "") or site.places.commune(code).name
    said = _("Le lieu du projet sur le plan : %(place)s") % {"place": place}
    unmet = [c for c in BLOCKING if judged.get(c, {}).get("verdict") == "not_met"]
    who = person(request)
    return render(
        request,
        "desk/proposal.html",
        status=409 if now is not None else 422 if form.bad else 200,
        commune=site.places.commune(code),
        nav="desk",
        tab="review",
        proposal=base.located(found, names),
        campaign=campaign,
        sheet=sheet,
        judged=judged,
        open_now=open_now,
        assigned=[one["service"] for one in sheet["assignments"]],
        share=_share(api, found),
        reports=[
            base.located(one, names) for one in linked_reports(site.session, found["reports"])
        ],
        drawing=locator(site.places, code, found["arrondissement"], found["geometry"], said),
        alike=alike(api, found) if found["status"] == MERGEABLE else [],
        mergeable=MERGEABLE,
        may_merge=bool(who and who.can(MANAGE, code)) and campaign["phase"] in MERGING,
        unmet=", ".join(_(labels.CRITERIA[one]) for one in unmet),
        form=form,
        meanwhile=_meanwhile(request, now) if now else None,
        written=[] if open_now or now is None else _written(form),
        notice=_(done) if done else None,
    )


def _share(api: Api, found: Json) -> Json | None:
    """Return the envelope of a proposal, ``taken`` in FCFA by others, ``left``, ``others``."""
    if found["envelope"] is None:
        return None
    envelopes = shortlist(api, found["campaign"])
    held = next((one for one in envelopes if one["id"] == found["envelope"]["id"]), None)
    others = [one for one in (held or {}).get("proposals", []) if one["id"] != found["id"]]
    taken = sum(one["cost"] for one in others)
    left = found["envelope"]["amount"] - taken
    return {**found["envelope"], "taken": taken, "left": left, "others": len(others)}


def alike(api: Api, found: Json) -> list[Json]:
    """Return proposals like this one; none while they cannot be looked for."""
    try:
        answer = api.budget(
            "proposals",
            "similar",
            campaign=found["campaign"],
            title=found["title"],
            description=found["description"][:READ],
            lon=found["lon"],
            lat=found["lat"],
            without=found["ref"],
            limit=SIMILAR,
        )
    except (ServiceDown, ServiceProblem):
        return []
    return list(answer["items"])


def _meanwhile(request: Request, now: Json) -> Json:
    """Return in words what was decided while somebody was writing."""
    _ = gettext(request)
    steps = [
        _(STEPS[one]) % {"revision": now.get("revision_now", "")}
        for one in now.get("changed", [])
        if one in STEPS
    ]
    outcome = labels.OUTCOMES.get(now.get("outcome", ""))
    if outcome:
        words = {
            "outcome": _(outcome),
            "cost": money(now["cost"]),
            "day": day(now["reviewed_at"]),
        }
        steps.insert(0, _("L'étude publiée le %(day)s dit : %(outcome)s, %(cost)s.") % words)
    return {"steps": steps, "criteria": now.get("criteria", [])}


def _written(form: Form) -> list[str]:
    """Return the sentences that somebody wrote and that have no form any more."""
    kept = ("reason", "assign_note", *(f"{one}_note" for one in labels.CRITERIA))
    return [form.values[name] for name in kept if form.values[name]]


def _refused(
    site: Site, code: str, ref: str, form: Form, problem: ServiceProblem, **at: str
) -> Response:
    """Show the study again with what was refused; ``at`` gives a body's field its form's name."""
    _ = gettext(site.request)
    now = problem.now
    if problem.code in OVERTAKEN:
        words = {"have": now.get("endorsements", ""), "needed": now.get("needed", "")}
        form.notice = _(OVERTAKEN[problem.code]) % words
        return _show(site, code, ref, form, now=now)
    if problem.code == "contradicts_criteria":
        criteria = ", ".join(_(labels.CRITERIA[one]) for one in now.get("criteria", []))
        form.errors["outcome"] = _(CONTRADICTS) % {"criteria": criteria}
    elif problem.code == "over_budget" and "most" in now:
        form.errors["cost"] = _(TOO_MUCH) % {"most": money(int(now["most"]))}
    else:
        base.refuse(site.request, form, problem, over_budget="cost", unknown_file="files")
    for name, other in at.items():
        if name in form.errors:
            form.errors[other] = form.errors.pop(name)
    return _show(site, code, ref, form)


@router.post(PROPOSAL)
def review(code: str, ref: str, site: SiteDep, sent: CheckedForm) -> Response:
    """Publish a study: an outcome, a cost, a reason."""
    require(site.request, REVIEW, code)
    form = Form.of(sent)
    values = form.values
    cost = base.amount(values["cost"])
    for name, good in (
        ("outcome", values["outcome"] in labels.OUTCOMES),
        ("cost", bool(cost)),
        ("reason", bool(values["reason"])),
    ):
        if not good:
            form.wrong(site.request, name)
    if form.bad:
        return _show(site, code, ref, form)
    body = {
        "outcome": values["outcome"],
        "cost": cost,
        "reason": values["reason"],
        "seen": base.whole(values["seen"]),
        "seen_criteria": base.whole(values["seen_criteria"]),
    }
    try:
        key = values["idempotency_key"]
        site.api.budget_write("proposals", ref, "review", body=body, key=key)
    except ServiceProblem as problem:
        return _refused(site, code, ref, form, problem)
    return redirect(f"/mairie/{code}/propositions/{ref}?fait=etude")


@router.post(PROPOSAL + "/criteres/{criterion}")
def judge(code: str, ref: str, criterion: str, site: SiteDep, sent: CheckedForm) -> Response:
    """Judge one criterion of the grid, with files that show why."""
    require(site.request, REVIEW, code)
    if criterion not in labels.CRITERIA:
        raise NotFound
    form = Form.of(sent)
    form.values["form"] = criterion

    def value(name: str) -> str:
        return form.values[f"{criterion}_{name}"]

    files = _files(site, sent, form, criterion)
    if value("verdict") not in labels.VERDICTS:
        form.wrong(site.request, f"{criterion}_verdict", "verdict")
    if not value("note"):
        form.wrong(site.request, f"{criterion}_note", "note")
    if form.bad:
        return _show(site, code, ref, form)
    body = {
        "verdict": value("verdict"),
        "note": value("note"),
        "service": base.known(value("service"), labels.SERVICES) or None,
        "files": files,
        "seen": base.whole(value("seen")),
    }
    at = {name: f"{criterion}_{name}" for name in ("verdict", "note", "service", "files")}
    try:
        site.api.budget_write(
            "proposals",
            ref,
            "review",
            "criteria",
            criterion,
            body=body,
            key=form.values["idempotency_key"],
            method="PUT",
        )
    except ServiceProblem as problem:
        return _refused(site, code, ref, form, problem, **at)
    return redirect(f"/mairie/{code}/propositions/{ref}?fait=critere#grille")


def _files(site: Site, sent: FormData, form: Form, criterion: str) -> list[str]:
    """Keep the files that came for a criterion; return the ids of all that it has then.

    They are written on the form too, so that a form shown again needs none of them twice.
    """
    field = f"{criterion}_files"
    kept = [str(one) for one in sent.getlist(f"{criterion}_kept")]
    new = [str(one) for one in sent.getlist(f"{criterion}_new")]
    for file in sent.getlist(field):
        if not isinstance(file, UploadFile) or not file.size:
            continue
        if len(kept) + len(new) >= MAX_FILES:
            form.wrong(site.request, field, "files")
            break
        if file.size > MAX_FILE_BYTES:
            form.errors[field] = gettext(site.request)(base.REFUSALS["file_too_large"][1])
            continue
        data = file.file.read()
        name = (file.filename or "document")[:200] if data.startswith(PDF) else ""
        try:
            new.append(site.api.budget_file(data, name))
        except ServiceProblem as problem:
            base.refuse(site.request, form, problem, **dict.fromkeys(FILE_CODES, field))
    form.values[f"{criterion}_kept"] = " ".join(kept)
    form.values[f"{criterion}_new"] = " ".join(new)
    return list(dict.fromkeys([*kept, *new]))


#: What a file may be refused for.
FILE_CODES = (
    "not_a_photo", "photo_too_large", "too_large", "not_a_document", "document_too_large",
    "unsafe_document",
)  # fmt: skip


@router.post(PROPOSAL + "/services")
def assign(code: str, ref: str, site: SiteDep, sent: CheckedForm) -> Response:
    """Give a proposal to a technical service."""
    require(site.request, REVIEW, code)
    form = Form.of(sent)
    values = form.values
    if values["assign_service"] not in labels.SERVICES:
        form.wrong(site.request, "assign_service", "service")
        return _show(site, code, ref, form)
    body: dict[str, Any] = {
        "service": values["assign_service"],
        "due_on": values["assign_due"] or None,
        "note": values["assign_note"],
    }
    try:
        key = values["idempotency_key"]
        site.api.budget_write("proposals", ref, "review", "assignments", body=body, key=key)
    except ServiceProblem as problem:
        at = {"service": "assign_service", "due_on": "assign_due", "note": "assign_note"}
        return _refused(site, code, ref, form, problem, **at)
    return redirect(f"/mairie/{code}/propositions/{ref}?fait=service#services")


@router.post(PROPOSAL + "/services/{service}/retrait")
def take_back(code: str, ref: str, service: str, site: SiteDep, sent: CheckedForm) -> Response:
    """Take a proposal from a technical service."""
    require(site.request, REVIEW, code)
    form = Form.of(sent)
    path = ("proposals", ref, "review", "assignments", service)
    try:
        site.api.budget_write(*path, key=form.values["idempotency_key"] or None, method="DELETE")
    except ServiceProblem as problem:
        if problem.code != "assignment_not_found":  # another agent was faster: it is as wanted
            return _refused(site, code, ref, form, problem)
    return redirect(f"/mairie/{code}/propositions/{ref}?fait=service-retire#services")
