"""The treasurer's desk: lines are added to a work's ledger and taken back, never changed."""

from collections.abc import Mapping, Sequence

from fastapi import APIRouter, Request, Response

from gateway import labels
from gateway.clients import Api
from gateway.errors import ServiceProblem
from gateway.labels import N_
from gateway.pages import base
from gateway.pages.base import Form, Json
from gateway.pages.desk_works import SPEND, SUMS, join, keep_files, own, read_day, split_form, today
from gateway.pages.works import SUM_OF
from gateway.places import Places, PlacesDep
from gateway.session import ApiDep, CheckedForm, require
from gateway.web import gettext, money, redirect, render
from services.common.problems import NotFound

router = APIRouter(prefix="/mairie/{code}/travaux/{ref}", include_in_schema=False)

#: FCFA from which an amount is shown once more before it is written.
LARGE = 10_000_000
WHAT = "ecriture"
#: Fields of a line, as its form names them after ``ecriture_``.
FIELDS = ("kind", "amount", "dated", "label", "payee", "document", "reason")

#: Whole francs as people write them, in groups of three or without any.
#: A line refused for want of a reason: what is now more than what, and the sums' names.
UNEXPLAINED: Mapping[str, tuple[str, str, str]] = {
    "over_voted_cost": (
        N_("Avec cette ligne, %(sum)s seraient engagés pour %(limit)s votés : dites pourquoi."),
        "committed",
        "voted",
    ),
    "invoiced_over_committed": (
        N_("Avec cette ligne, %(sum)s seraient facturés pour %(limit)s engagés : dites pourquoi."),
        "invoiced",
        "committed",
    ),
    "paid_over_committed": (
        N_("Avec cette ligne, %(sum)s seraient payés pour %(limit)s engagés : dites pourquoi."),
        "paid",
        "committed",
    ),
}
_CHANGED = N_(
    "Quelqu'un a changé ces travaux entre-temps. Les sommes sont maintenant : engagé %(committed)s,"
    " facturé %(invoiced)s, payé %(paid)s. Rien n'a été écrit ; vérifiez que votre ligne n'y est"
    " pas déjà."
)


def after(work: Json, kind: str, amount: int) -> Json:
    """Return the sums of a work after a line of ``kind``."""
    sums = {name: work[name] for name in SUMS}
    sums[SUM_OF[kind]] += amount
    return sums | {"balance": work["voted_cost"] - sums["paid"]}


def _page(
    request: Request,
    places: Places,
    work: Json,
    step: str,
    form: Form,
    *,
    status: int = 200,
    papers: Sequence[str] = (),
    line: Json | None = None,
) -> Response:
    """Show the form of a line, the look at it before it is written, or the one that takes it back.

    ``step``: form, sure or counter; ``line`` is what is to be written or taken back.
    """
    code = work["commune"]
    return render(
        request,
        "desk/entry.html",
        status=status,
        commune=places.commune(code),
        nav="desk",
        tab="works",
        work=work,
        base=f"/mairie/{code}/travaux/{work['ref']}",
        step=step,
        form=form,
        papers=papers,
        line=line,
        sums=after(work, line["kind"], line["amount"]) if line else None,
        today=today(),
    )


@router.get("/ecriture")
def new_entry(code: str, ref: str, request: Request, places: PlacesDep, api: ApiDep) -> Response:
    """Give the form of a line of the ledger, alone on its page."""
    require(request, SPEND, code)
    return _page(request, places, own(api, code, ref), "form", Form())


@router.post("/ecriture")
def enter(
    code: str, ref: str, request: Request, places: PlacesDep, api: ApiDep, sent: CheckedForm
) -> Response:
    """Add a line; a large amount is shown once more first."""
    require(request, SPEND, code)
    work = own(api, code, ref)
    form, part = split_form(sent, WHAT)
    line = _read(request, part)
    papers = keep_files(request, api, sent, part, WHAT, "files")
    status = 422
    if form.values["do"] == "change":
        part.errors.clear()
        status = 200
    elif not part.bad:
        if line["amount"] > LARGE and form.values["sure"] != _shown(line):
            return _page(request, places, work, "sure", form, papers=papers, line=line)
        body = {**line, "files": papers, "seen": base.whole(form.values["seen"])}
        try:
            key = form.values["idempotency_key"]
            made = api.budget_write("works", work["ref"], "entries", body=body, key=key)
        except ServiceProblem as problem:
            work, status = _refused(request, api, work, form, part, problem)
        else:
            return redirect(_written(work, made))
    join(form, part, WHAT)
    return _page(request, places, work, "form", form, status=status, papers=papers)


def _written(work: Json, made: Json) -> str:
    path = f"/mairie/{work['commune']}/travaux/{work['ref']}"
    return f"{path}?ligne={made['number']}#comptes"


def _shown(line: Json) -> str:
    """Return what a large line was shown as: another amount is shown anew."""
    return f"{line['kind']}:{line['amount']}"


def _read(request: Request, part: Form) -> Json:
    """Read a line; what is missing is written on the form."""
    line: Json = {name: part.values[name] for name in FIELDS}
    line["amount"] = base.amount(part.values["amount"]) or None
    for name, good in (
        ("kind", line["kind"] in labels.LEDGER),
        ("amount", bool(line["amount"])),
        ("label", bool(line["label"])),
    ):
        if not good:
            part.wrong(request, name)
    line["dated"] = read_day(request, part, "dated")
    if line["dated"] > today():
        part.errors["dated"] = gettext(request)(base.REFUSALS["not_a_day"][1])
    return line


def _refused(
    request: Request, api: Api, work: Json, form: Form, part: Form, problem: ServiceProblem
) -> tuple[Json, int]:
    """Write a refusal on the form; return the work as it is now, and the page's status."""
    _ = gettext(request)
    if problem.code in UNEXPLAINED:
        text, name, limit = UNEXPLAINED[problem.code]
        said = {"sum": money(problem.now[name]), "limit": money(problem.now[limit])}
        part.errors["reason"] = _(text) % said
        return work, 422
    base.refuse(request, part, problem, unknown_file="files", too_many_files="files")
    if problem.status != 409:
        return work, 422
    if problem.code == "changed_meanwhile":
        now = {name: money(problem.now[f"{name}_now"]) for name in SUM_OF.values()}
        part.notice = _(_CHANGED) % now
        form.values["sure"] = ""
    return own(api, work["commune"], work["ref"]), 409


# A line taken back


@router.get("/ecritures/{number}/annuler")
def countering(
    code: str, ref: str, number: int, request: Request, places: PlacesDep, api: ApiDep
) -> Response:
    """Ask why a line is taken back, and show what the sums become."""
    require(request, SPEND, code)
    work = own(api, code, ref)
    return _countering(request, places, work, _line(work, number), Form())


def _line(work: Json, number: int) -> Json:
    found: Json | None = next((one for one in work["ledger"] if one["number"] == number), None)
    if found is None:
        raise NotFound
    return found


def _countering(
    request: Request, places: Places, work: Json, line: Json, form: Form, status: int = 200
) -> Response:
    mirror = {**line, "amount": -line["amount"]}
    return _page(request, places, work, "counter", form, status=status, line=mirror)


@router.post("/ecritures/{number}/annuler")
def counter(
    code: str,
    ref: str,
    number: int,
    request: Request,
    places: PlacesDep,
    api: ApiDep,
    sent: CheckedForm,
) -> Response:
    """Take a line back with its mirror, once."""
    require(request, SPEND, code)
    work = own(api, code, ref)
    line, form, status = _line(work, number), Form.of(sent), 422
    if not form.values["reason"]:
        form.wrong(request, "reason")
    else:
        body, key = {"reason": form.values["reason"]}, form.values["idempotency_key"]
        path = ("works", work["ref"], "entries", line["id"], "counter")
        try:
            made = api.budget_write(*path, body=body, key=key)
        except ServiceProblem as problem:
            base.refuse(request, form, problem)
            work = own(api, code, ref)
            line, status = _line(work, number), 409 if problem.status == 409 else 422
        else:
            return redirect(_written(work, made))
    return _countering(request, places, work, line, form, status)
