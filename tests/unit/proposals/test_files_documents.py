"""Documents: what a PDF may hold, and how soon a hostile one is refused."""

import io
import random

import pypdf
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.problems import DomainError
from services.proposals.files import documents, domain
from services.proposals.files.domain import Judgement
from services.proposals.files.errors import DocumentTooLarge, NotADocument, UnsafeDocument
from services.proposals.files.pdf import judge
from tests.documents import assemble, first_extra, pdf, stream

pytestmark = pytest.mark.unit

FIRST = first_extra()
SCRIPT = "<< /S /JavaScript /JS (app.alert\\(1\\)) >>"
BENIGN = {
    "one page": pdf(),
    "as many pages as may be": pdf(pages=domain.DOCUMENT_PAGES),
    "PDF 2.0": pdf(version="2.0"),
    "opens at a page": pdf(root="/OpenAction [3 0 R /XYZ null null 0]"),
    "opens with a way to a page": pdf(root="/OpenAction << /S /GoTo /D [3 0 R /Fit] >>"),
    "a link to the web": pdf(
        "<< /Type /Annot /Subtype /Link /Rect [0 0 9 9] /A << /S /URI /URI (https://a.bj) >> >>",
        page=f"/Annots [{FIRST} 0 R]",
    ),
    "words about scripts": pdf(
        stream(b"(/JavaScript /Launch /JS) Tj"), page=f"/Contents {FIRST} 0 R"
    ),
    "blank lines at the end": pdf() + b"\r\n\n",
}
ACTIVE = {
    "a script at opening": pdf(root=f"/OpenAction {SCRIPT}"),
    "a script at opening, elsewhere": pdf(SCRIPT, root=f"/OpenAction {FIRST} 0 R"),
    "a script by its name": pdf(
        SCRIPT, root=f"/Names << /JavaScript << /Names [(a) {FIRST} 0 R] >> >>"
    ),
    "a script in disguise": pdf(root="/OpenAction << /S /J#61vaScript /J#53 (a) >>"),
    "a script after another step": pdf(
        root=f"/OpenAction << /S /GoTo /D [3 0 R /Fit] /Next [{SCRIPT}] >>"
    ),
    "a script that nothing leads to": pdf(SCRIPT),
    "a script of a link": pdf(page=f"/Annots [<< /Subtype /Link /A {SCRIPT} >>]"),
    "what a page does by itself": pdf(page="/AA << /O << /S /URI /URI (https://a.bj) >> >>"),
    "a program": pdf(root="/OpenAction << /S /Launch /F (cmd.exe) >>"),
    "a form that is sent": pdf(page="/Annots [<< /A << /S /SubmitForm /F (https://a.bj) >> >>]"),
    "files inside": pdf(root="/Names << /EmbeddedFiles << /Names [] >> >>"),
    "a file inside": pdf(
        stream(b"MZ", "/Type /EmbeddedFile"),
        f"<< /Type /Filespec /F (a.exe) /EF << /F {FIRST} 0 R >> >>",
    ),
    "a file pinned to a page": pdf(page="/Annots [<< /Subtype /FileAttachment >>]"),
    "a form of another kind": pdf(root="/AcroForm << /Fields [] /XFA [(a) (b)] >>"),
    "a film": pdf(page="/Annots [<< /Subtype /RichMedia >>]"),
}


def locked(algorithm: str) -> bytes:
    writer = pypdf.PdfWriter()
    writer.add_blank_page(100, 100)
    writer.encrypt("secret", algorithm=algorithm)
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def packed(body: str) -> bytes:
    """A document whose catalogue lies in an object stream, as most writers have it today."""
    inside = f"<< /Type /Catalog /Pages 2 0 R {body} >>".encode()
    head = b"1 0 "
    parts = [
        b"<< /Type /Pages /Count 1 /Kids [3 0 R] >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] >>",
        stream(head + inside, f"/Type /ObjStm /N 1 /First {len(head)}"),
    ]
    out, places = bytearray(b"%PDF-1.7\n"), []
    for number, part in enumerate(parts, start=2):
        places.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, part)
    places.append(len(out))
    rows = [(0, 0, 255), (2, 4, 0), *((1, place, 0) for place in places)]
    table = b"".join(
        bytes((kind,)) + place.to_bytes(4) + bytes((last,)) for kind, place, last in rows
    )
    form = "/Type /XRef /Size 6 /W [1 4 1] /Root 1 0 R"
    out += b"5 0 obj\n%b\nendobj\nstartxref\n%d\n%%%%EOF\n" % (stream(table, form), places[-1])
    return bytes(out)


@pytest.mark.parametrize("data", BENIGN.values(), ids=list(BENIGN))
def test_a_plain_document_is_let_in(data: bytes) -> None:
    documents.check(data)


@pytest.mark.parametrize("data", ACTIVE.values(), ids=list(ACTIVE))
def test_a_document_that_does_something_is_not(data: bytes) -> None:
    with pytest.raises(UnsafeDocument):
        documents.check(data)


def test_what_an_object_stream_holds_is_seen() -> None:
    assert judge(packed("")) == Judgement.SAFE
    assert judge(packed(f"/OpenAction {SCRIPT}")) == Judgement.UNSAFE


@pytest.mark.parametrize("algorithm", ["RC4-40", "RC4-128", "AES-128", "AES-256"])
def test_a_locked_document_is_not_let_in(algorithm: str) -> None:
    with pytest.raises(UnsafeDocument):
        documents.check(locked(algorithm))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"%PDF-1.7\n",
        b"%PDF-1.7\nstartxref\n0\n%%EOF\n",
        b"<script>alert(1)</script>" + pdf(),
        b"\n" + pdf(),
        pdf()[:-6],
        pdf() + b"<script>alert(1)</script>",
        pdf().replace(b"%PDF-1.7", b"%PDF-9.7"),
        pdf().replace(b"/Root 1 0 R", b"/Root 9 0 R"),
        pdf().replace(b"\n3 0 obj", b"\n4 0 obj"),
        pdf().replace(b"0000000009", b"0000000011"),
        pdf(pages=0),
        b"PK\x03\x04" + bytes(100),
    ],
    ids=range(13),
)
def test_what_is_no_whole_document_is_not_let_in(data: bytes) -> None:
    with pytest.raises(NotADocument):
        documents.check(data)


@pytest.mark.parametrize(
    "data",
    [
        pdf() + b"\n" * domain.DOCUMENT_BYTES,
        pdf(pages=domain.DOCUMENT_PAGES + 1),
        pdf(*["null"] * domain.DOCUMENT_OBJECTS),
    ],
    ids=["bytes", "pages", "objects"],
)
def test_more_than_there_may_be(data: bytes) -> None:
    with pytest.raises(DocumentTooLarge):
        documents.check(data)


def test_pages_that_only_pretend_to_be_few() -> None:
    real = domain.DOCUMENT_PAGES + 1
    with pytest.raises(DocumentTooLarge):
        documents.check(pdf(pages=real).replace(f"/Count {real}".encode(), b"/Count 001"))


@pytest.mark.parametrize(
    "data",
    [
        packed("").replace(b"/N 1 ", b"/N 999999999 "),
        packed("(" + "a" * 50_000_000 + ")"),
        packed("/A " + "[" * 1_000_000 + "]" * 1_000_000),
        assemble(
            ["<< /Type /Catalog /Pages 2 0 R >>", "<< /Type /Pages /Kids [2 0 R] /Count 1 >>"]
        ),
        pdf(trailer="/Prev 9"),
    ],
    ids=["objects without number", "50 MB in one word", "depth", "pages in a circle", "no table"],
)
def test_what_asks_for_too_much_is_refused(data: bytes) -> None:
    with pytest.raises(DomainError):
        documents.check(data)


@given(st.integers(0, 2**32))
def test_no_damage_lets_anything_through_but_a_judgement(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - damage, no secret
    data = bytearray(chance.choice([*ACTIVE.values(), *BENIGN.values(), packed("")])[:5000])
    for _ in range(chance.randint(1, 20)):
        at = chance.randrange(len(data))
        data[at : at + chance.randint(0, 3)] = chance.randbytes(chance.randint(0, 3))
    assert judge(bytes(data)) in Judgement


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("Devis puits.pdf", "Devis puits.pdf"),
        ("Devis puits.PDF ", "Devis puits.pdf"),
        ("procès-verbal (2).pdf", "procès-verbal (2).pdf"),
        ("../../etc/passwd", "passwd.pdf"),
        ("C:\\Users\\Ama\\devis.pdf", "devis.pdf"),
        ("devis.pdf.exe", "devis.pdf.exe.pdf"),
        ("a\r\nSet-Cookie: b=1", "a Set-Cookie b=1.pdf".replace("=", " ")),
        ("\u202egpj.exe.pdf", "gpj.exe.pdf"),
        ("", "document.pdf"),
        ("...", "document.pdf"),
        (".htaccess", "htaccess.pdf"),
        ("e\u0301tude.pdf", "étude.pdf"),
        ("facture #3 50%.pdf", "facture 3 50.pdf"),
    ],
)
def test_names_are_made_safe(given: str, kept: str) -> None:
    assert domain.safe_name(given) == kept


@given(st.text(max_size=500))
def test_a_safe_name_is_always_one(name: str) -> None:
    safe = domain.safe_name(name)
    assert len(safe) <= domain.NAME_LENGTH
    assert safe.endswith(".pdf")
    assert safe != ".pdf"
    assert not set(safe) & set('/\\:*?"<>|\r\n\0\u202e;')
    assert domain.safe_name(safe) == safe
