"""What people of the demonstration write: French, plain, of no one in particular."""

from collections.abc import Mapping
from random import Random
from typing import Literal

#: category → problems as a citizen would say them.
PROBLEMS: Mapping[str, tuple[str, ...]] = {
    "waste": (
        "Un tas d'ordures grossit au bord de la rue depuis deux semaines. L'odeur gêne les "
        "vendeuses et les enfants jouent à côté.",
        "Les bacs débordent et personne ne passe les vider. Les sacs sont maintenant sur la voie.",
        "On brûle des déchets plastiques ici chaque soir, la fumée entre dans les maisons.",
        "Des gravats ont été déposés de nuit devant l'école, le passage est bloqué.",
    ),
    "lighting": (
        "Trois lampadaires de suite ne s'allument plus. Il fait noir dès dix-neuf heures et les "
        "femmes qui rentrent du marché ont peur.",
        "Le lampadaire solaire clignote puis s'éteint vers vingt et une heures.",
        "Le poteau est penché et les fils pendent bas au-dessus du passage.",
        "Pas de lumière au carrefour : deux accidents de moto ce mois-ci.",
    ),
    "roads": (
        "Un grand trou au milieu de la voie, les zémidjans le contournent par le trottoir.",
        "La piste est coupée par une ravine depuis les dernières pluies, les voitures ne passent "
        "plus jusqu'au centre de santé.",
        "Les pavés se sont affaissés sur une dizaine de mètres.",
        "La terre de rechargement a été emportée, la route n'est plus praticable à moto.",
    ),
    "drainage": (
        "Le caniveau est bouché par le sable, l'eau remonte dans les cours à chaque pluie.",
        "La dalle du caniveau est cassée, un enfant est tombé dedans hier.",
        "L'eau stagne depuis dix jours devant le marché, il y a beaucoup de moustiques.",
        "Le dalot est trop petit : toute la rue est inondée quand il pleut.",
    ),
    "water": (
        "La pompe à motricité humaine est en panne, il faut marcher deux kilomètres.",
        "La borne-fontaine coule jour et nuit, le robinet ne ferme plus.",
        "L'eau du forage est trouble et sent mauvais depuis lundi.",
        "Plus d'eau au robinet depuis quatre jours dans tout le quartier.",
    ),
    "occupation": (
        "Des étals occupent tout le trottoir, il faut marcher sur la chaussée.",
        "Un conteneur a été posé sur la place publique sans panneau ni explication.",
        "Des véhicules abandonnés bloquent la moitié de la rue.",
    ),
    "noise": (
        "Un bar joue de la musique très fort jusqu'à quatre heures du matin, même en semaine.",
        "Un atelier de soudure travaille la nuit à côté des maisons.",
    ),
    "buildings": (
        "Le toit de la classe de CM2 est percé, les élèves changent de salle quand il pleut.",
        "Le mur du centre de santé est fissuré de haut en bas.",
        "Les latrines de l'école sont fermées, les filles rentrent chez elles.",
        "La porte de la maison des jeunes est arrachée, tout a été emporté.",
    ),
    "markets": (
        "Le hangar du marché a perdu ses tôles, les marchandises prennent l'eau.",
        "Pas de toilettes qui marchent au marché.",
        "Les allées du marché sont pleines de boue, on ne peut plus décharger.",
    ),
    "other": (
        "Des chiens errants ont mordu deux personnes près de l'école.",
        "Un grand arbre menace de tomber sur la route.",
    ),
}

#: How often each category comes, in parts, for a large town and for a rural commune.
URBAN: Mapping[str, int] = {
    "waste": 26, "drainage": 20, "lighting": 16, "roads": 14, "occupation": 8, "noise": 5,
    "markets": 4, "water": 3, "buildings": 3, "other": 1,
}  # fmt: skip
RURAL: Mapping[str, int] = {
    "roads": 26, "water": 22, "lighting": 14, "buildings": 13, "drainage": 8, "waste": 8,
    "markets": 6, "other": 2, "noise": 1,
}  # fmt: skip

LANDMARKS: tuple[str, ...] = (
    "près du marché",
    "derrière l'école primaire",
    "à côté de la mosquée",
    "devant l'église",
    "au carrefour, côté pharmacie",
    "près du château d'eau",
    "en face du centre de santé",
    "à l'entrée du quartier",
)

#: status → what the mairie answers, or the citizen.
ANSWERS: Mapping[str, tuple[str, ...]] = {
    "acknowledged": (
        "Merci. Votre signalement est transmis au service technique, qui passera cette semaine.",
        "Bien reçu. L'agent d'hygiène de l'arrondissement est prévenu.",
    ),
    "in_progress": (
        "L'équipe est sur place depuis ce matin, les travaux dureront trois jours.",
        "Le matériel est commandé ; l'intervention est prévue la semaine prochaine.",
    ),
    "resolved": (
        "C'est réparé. Merci d'avoir prévenu la mairie.",
        "Le site a été nettoyé ce matin. Un bac supplémentaire y sera posé.",
    ),
    "waiting": ("La pièce manque au magasin ; la commande est passée.",),
    "forwarded": ("Ce réseau est celui de la compagnie d'électricité, qui est prévenue.",),
    "confirmed": ("C'est bien réparé, merci.", ""),
    "reopened": ("Cela recommence depuis hier.",),
    "rejected": ("L'équipe est passée deux fois et n'a rien trouvé à cet endroit.",),
}

#: (title, need, theme, shape, cost in FCFA): works a commune of Bénin really pays for.
PROJECTS: tuple[tuple[str, str, str, str, int], ...] = (
    ("Dix lampadaires solaires sur la voie du marché",
     "Les vendeuses finissent dans le noir et la voie est dangereuse le soir.",
     "lighting", "line", 7_500_000),
    ("Un forage équipé d'une pompe à motricité humaine",
     "Le quartier n'a pas d'eau potable à moins d'un kilomètre.",
     "water", "point", 6_800_000),
    ("Un module de trois classes avec bureau et magasin",
     "Les élèves sont cent dix par classe, deux cours se font sous un arbre.",
     "school", "point", 24_500_000),
    ("Un caniveau maçonné de deux cents mètres",
     "Les maisons sont inondées à chaque saison des pluies.",
     "drainage", "line", 14_000_000),
    ("Rechargement de la piste jusqu'au centre de santé",
     "L'ambulance ne passe plus de juin à octobre.",
     "roads", "line", 18_000_000),
    ("Un dalot double au passage de la ravine",
     "Le quartier est coupé de l'école quand il pleut.",
     "roads", "point", 9_200_000),
    ("Quatre cabines de latrines à l'école primaire",
     "Les latrines sont fermées ; les filles manquent la classe.",
     "school", "point", 4_600_000),
    ("Deux hangars de dix places au marché",
     "Les marchandises prennent l'eau et le soleil.",
     "market", "point", 8_400_000),
    ("Une place de jeux ombragée, trente arbres",
     "Les enfants n'ont que la route pour jouer.",
     "environment", "area", 3_900_000),
    ("Réfection de la salle d'accouchement",
     "Le toit fuit et l'eau courante manque.",
     "health", "point", 11_300_000),
    ("Extension de la borne-fontaine à deux points",
     "La file commence à cinq heures du matin.",
     "water", "point", 3_200_000),
    ("Pavage de cent mètres devant l'école",
     "Le passage est une mare de boue quatre mois par an.",
     "roads", "line", 12_600_000),
    ("Clôture et portail du centre de santé",
     "Les animaux entrent dans la cour des soins.",
     "health", "area", 5_700_000),
    ("Six lampadaires solaires autour du terrain de sport",
     "Les jeunes veulent s'entraîner après le travail.",
     "lighting", "area", 4_500_000),
)  # fmt: skip

#: (outcome, reason)
REVIEWS: tuple[tuple[str, str], ...] = (
    ("feasible", "Le terrain est à la commune et le coût suit les prix du service technique."),
    ("feasible", "Visite faite avec le chef de quartier : l'emplacement convient."),
    ("feasible_with_changes", "Faisable en déplaçant l'ouvrage de vingt mètres, hors emprise."),
    ("not_feasible", "Le terrain est privé et le propriétaire ne cède pas."),
)

CAMPAIGN = (
    "Chaque habitant peut proposer un projet pour son quartier. Les services techniques étudient "
    "tout, les habitants votent, et chaque franc dépensé est publié ici."
)
EARLY = "Toutes les contributions attendues ont été reçues."
FORUM_PLACE = "Maison du peuple"
MERGE = "Ces deux projets se complètent : réunis, ils coûteront moins cher."

BENEFICIARIES: tuple[str, ...] = (
    "Les vendeuses du marché et leurs clients",
    "Environ 350 élèves et leurs maîtres",
    "Les habitants de trois quartiers",
    "Les femmes et les enfants qui cherchent l'eau",
)
#: Names that people chose to be shown under: first names and groups of nobody in particular.
AUTHORS: tuple[str, ...] = (
    "Afi",
    "Koffi",
    "Un riverain",
    "Groupement des mareyeuses",
    "Comité de quartier",
    "Jeunesse active",
)
COMMENTS: tuple[tuple[Literal["for", "against", "neutral"], str], ...] = (
    ("for", "Depuis des années on attend cela. Merci à ceux qui l'ont écrit."),
    ("for", "Avec cela les enfants pourront étudier le soir."),
    ("for", "C'est le plus urgent du quartier, je vote pour."),
    ("against", "Il y a déjà un ouvrage à deux rues : réparons-le d'abord."),
    ("against", "Qui va entretenir ? Sans comité, ce sera en panne dans un an."),
    ("neutral", "Le terrain est-il bien à la commune ?"),
    ("neutral", "On pourrait le déplacer plus près de l'école."),
)
CONTRACTORS: tuple[str, ...] = ("Entreprise Agbo et Fils", "SOTRAB", "Coopérative Wanignon")
MILESTONES: tuple[str, ...] = ("Installation du chantier", "Gros œuvre", "Réception provisoire")
PROGRESS: tuple[str, ...] = (
    "Les fondations sont coulées.",
    "Les matériaux sont livrés, l'équipe est au complet.",
    "La moitié de l'ouvrage est debout.",
)
DELAY = "Les pluies ont rendu l'accès impossible pendant trois semaines."
DONE = "L'ouvrage est livré et réceptionné avec le comité de quartier."
LEDGER: Mapping[str, tuple[str, str]] = {
    "commitment": ("Marché signé", "M"),
    "invoice": ("Décompte des travaux", "F"),
    "payment": ("Mandat de paiement", "MP"),
}
_REASONS = (
    "L'ouvrage sera posé sur le domaine public, sans déplacer personne.",
    "Les plans types du service technique conviennent au site.",
    "Un comité d'usagers est prêt à l'entretenir.",
)


def described(title: str, dice: Random) -> str:
    """Return a description of a project."""
    return f"{title}. {dice.choice(_REASONS)}"


def criteria(outcome: str) -> list[dict[str, str]]:
    """Return a filled grid that goes with an outcome."""
    land = "not_met" if outcome == "not_feasible" else "met"
    upkeep = "conditional" if outcome == "feasible_with_changes" else "met"
    return [
        {"criterion": "legal", "verdict": "met", "note": "La commune est compétente."},
        {"criterion": "technical", "verdict": "met", "note": "Le sol porte l'ouvrage."},
        {"criterion": "cost", "verdict": "met", "note": "Prix du dernier marché."},
        {
            "criterion": "land",
            "verdict": land,
            "note": "Terrain privé." if land == "not_met" else "Domaine public.",
        },
        {
            "criterion": "upkeep",
            "verdict": upkeep,
            "note": "Un comité doit être formé." if upkeep == "conditional" else "Comité en place.",
        },
    ]
