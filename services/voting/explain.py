"""One plain sentence per project: why it won or lost, in French and in English."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.voting.domain import Amount, Result, Round

#: The tie rule in words, published with the election.
RULE_TEXT = {
    "fr": (
        "Les projets sont pris du plus voté au moins voté ; à égalité de voix, le moins cher passe "
        "d’abord, puis celui qui a le plus petit numéro. Un projet qui coûte plus que ce qui reste "
        "est passé et l’on essaie le suivant. Un projet sans aucune voix n’est pas financé."
    ),
    "en": (
        "Projects are taken from most votes to fewest; with equal votes the cheaper goes first, "
        "then the one with the lower number. A project that costs more than what is left is "
        "skipped and the next one is tried. A project without any vote is not funded."
    ),
}

#: What is said besides where the budget is parted.
_PARTED_TEXT = {
    "fr": "Chaque enveloppe est comptée à part, avec son propre montant.",
    "en": "Each envelope is counted by itself, with its own amount.",
}


def rule_text(parted: bool) -> dict[str, str]:
    """Return the tie rule in words, by language; ``parted``: the budget has envelopes."""
    if not parted:
        return RULE_TEXT
    return {language: f"{said} {_PARTED_TEXT[language]}" for language, said in RULE_TEXT.items()}


@dataclass(frozen=True, slots=True)
class Sentence:
    """The same reason twice."""

    fr: str
    en: str


def sentences(result: Result) -> dict[int, Sentence]:
    """Return each project's reason by its number."""
    return {
        r.project.number: _sentence(r, [o for o in result.rounds if o.envelope == r.envelope])
        for r in result.rounds
    }


def _sentence(round_: Round, rounds: Sequence[Round]) -> Sentence:
    """Say why; ``rounds`` are those that compete for the same money."""
    votes, rank = round_.votes, round_.rank
    cost, left = round_.project.cost, round_.remaining
    if round_.outcome == "too_few_votes":
        return Sentence("Non financé : aucune voix.", "Not funded: no votes.")
    plural = "vote" if votes == 1 else "votes"
    of_fr = of_en = there_fr = there_en = ""
    if round_.envelope:
        name = round_.envelope.name
        of_fr, of_en = f" de l’enveloppe « {name} »", f" in the envelope “{name}”"
        there_fr, there_en = " dans cette enveloppe", " in this envelope"
    standing = (
        f"{_fr(votes)} voix (rang {rank}{of_fr})",
        f"{_en(votes)} {plural} (rank {rank}{of_en})",
    )
    if round_.outcome == "funded":
        return Sentence(
            f"Financé : {standing[0]}, et son coût de {_fr(cost)} FCFA tenait dans les "
            f"{_fr(left)} FCFA encore disponibles{there_fr}.",
            f"Funded: {standing[1]}, and its cost of {_en(cost)} FCFA fitted in the "
            f"{_en(left)} FCFA still available{there_en}.",
        )
    ahead = [
        r.project.number
        for r in rounds
        if r.votes == votes and r.rank < rank and r.outcome == "funded"
    ]
    fr = en = ""
    if ahead:
        fr = (
            " À égalité de voix, le moins cher puis le plus petit numéro passe d’abord : "
            f"ici le n° {_numbers(ahead, ' et le n° ')}."
        )
        en = (
            " With equal votes, the cheaper and then the lower number goes first: "
            f"here no. {_numbers(ahead, ' and no. ')}."
        )
    return Sentence(
        f"Non financé : {standing[0]}, mais il coûte {_fr(cost)} FCFA et il ne restait que "
        f"{_fr(left)} FCFA{there_fr} à son tour.{fr}",
        f"Not funded: {standing[1]}, but it costs {_en(cost)} FCFA and only {_en(left)} FCFA "
        f"were left{there_en} at its turn.{en}",
    )


def _numbers(numbers: Sequence[int], join: str) -> str:
    return join.join(map(str, numbers))


def _en(amount: Amount) -> str:
    return f"{int(amount):,}"


def _fr(amount: Amount) -> str:
    return _en(amount).replace(",", "\u202f")
