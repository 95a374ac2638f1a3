"""What the OGC API may refuse; ``description`` is the standard's own name for the detail."""

from services.common.problems import Malformed, NotFound


class BadParameter(Malformed):
    """A parameter is unknown or cannot be read."""

    code = "bad_parameter"

    def __init__(self, detail: str) -> None:
        super().__init__(detail, description=detail)


class UnknownCollection(NotFound):
    """There is no such collection."""

    code = "unknown_collection"

    def __init__(self) -> None:
        super().__init__(description=self.__doc__)


class UnknownFeature(NotFound):
    """There is no such feature in this collection."""

    code = "unknown_feature"

    def __init__(self) -> None:
        super().__init__(description=self.__doc__)
