"""What files may be refused for."""

from services.common.problems import Invalid, NotFound, TooLarge, UnsupportedType


class NotADocument(UnsupportedType):
    """The file is not a plain PDF that opens without a fault."""

    code = "not_a_document"


class DocumentTooLarge(TooLarge):
    """The document has too many bytes, pages or parts."""

    code = "document_too_large"


class UnsafeDocument(UnsupportedType):
    """The document can run something, holds other files, or is encrypted."""

    code = "unsafe_document"


class FileNotFound(NotFound):
    """There is no such file."""

    code = "file_not_found"


class UnknownFile(Invalid):
    """This file is not known, not yours, or belongs to something else."""

    code = "unknown_file"


class PhotosOnly(Invalid):
    """Only photos belong here; documents belong to reviews and to entries of a ledger."""

    code = "photos_only"


class TooManyFiles(Invalid):
    """More files than one thing may have."""

    code = "too_many_files"
