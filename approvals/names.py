"""What a printed name may be, and when two look alike: a signature has to tell people apart, whatever their script."""

import re
import unicodedata
from itertools import pairwise

MARKS = " .,'-\u2019\u2010\u00b7\u30fb\u05f3\u05f4"  # beside letters, their marks and digits
# letters and marks that show nothing: fillers, joiners, Khmer's inherent vowels, selectors of a variant
BLANK = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\u2d7f\U00016fe4\U0001bc9d\U000e0100-\U000e01ef]"
)
JOINERS = "\u200c\u200d"
VIRAMA = 9  # the combining class of the sign after which Indic scripts write a joiner
# alphabets that share shapes: a word is written in one of them
ALIKE = frozenset({"LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC", "LISU", "GEORGIAN", "DESERET"})
# what looks like a Latin letter, Cyrillic, Greek and Armenian above all; by case: Greek nu is N when it is a capital
LIKE = {
    "'": "\u2019",
    "-": "\u00b7\u2010\u30fb",
    "A": "\u0391\u0410",
    "B": "\u0392\u0412",
    "C": "\u0421",
    "E": "\u0395\u0415",
    "G": "\u050c",
    "H": "\u0397\u041d",
    "J": "\u0408",
    "K": "\u039a\u041a",
    "M": "\u039c\u041c",
    "N": "\u039d",
    "O": "0\u039f\u041e\u0555",
    "P": "\u03a1\u0420",
    "Q": "\u051a",
    "S": "\u0405\u054f",
    "T": "\u03a4\u0422",
    "W": "\u051c",
    "X": "\u03a7\u0425",
    "Y": "\u03a5\u0423\u04ae",
    "Z": "\u0396",
    "a": "\u0251\u03b1\u0430",
    "b": "\u042c\u044c\u0432",
    "c": "\u03f2\u0441",
    "d": "\u0501",
    "e": "\u0435",
    "g": "\u0261\u0581",
    "h": "\u04bb\u0570\u043d",
    "i": "\u0131\u03b9\u0456",
    "j": "\u0458",
    "k": "\u03ba\u043a",
    "l": "1I|\u0399\u0406\u04cf",
    "m": "\u043c",
    "n": "\u0578",
    "o": "\u03bf\u043e\u0585",
    "p": "\u03c1\u0440",
    "q": "\u051b",
    "s": "\u0455",
    "t": "\u03c4\u0442",
    "u": "\u03c5\u057d",
    "v": "\u03bd",
    "w": "\u051d",
    "x": "\u03c7\u0445",
    "y": "\u03b3\u0443",
}
SHAPES = {ord(one): latin for latin, others in LIKE.items() for one in others}
# from a code on, letter by letter: the Latin capital that each of Lisu and Cherokee looks like, or none
LISU = "BP.DT.GK.JC.ZF.MNLSR..VH..WXY.A.E.IOU"
CHEROKEE = "DRT.O....YAJE......W...M...H.Y..G..Z..I...........R......VS...LC..P...K.............B"
for start, run in ((0xA4D0, LISU), (0x13A0, CHEROKEE), (0xAB70, CHEROKEE[:80])):
    SHAPES |= {start + place: SHAPES.get(ord(latin), latin) for place, latin in enumerate(run) if latin != "."}
SMALL_CAPITAL = re.compile("LATIN (?:CAPITAL )?LETTER SMALL CAPITAL ([A-Z])")
# whom the audit and the pages name where no person acted
OURS = ("system", "the system", "by itself", "anonymous", "unknown account", "erased", "Guarded Rollout")


def tidy(text: str) -> str:
    """Return a name as it is kept: its compatibility forms written plainly, and one space where there is space."""
    return re.sub(" +", " ", unicodedata.normalize("NFKC", text)).strip(" ")


def why_not(name: str) -> str:
    """Return why a name, tidied, cannot be printed under a decision; empty when it can."""
    for before, one, after in _triples(name):
        if not _is_shown(one) and not _joins(before, one, after):
            return f"U+{ord(one):04X} cannot stand in a name: letters, digits, spaces and . , ' - can."
    if not any(unicodedata.category(one).startswith("L") for one in name):
        return "A name has letters."
    return mixed(name) or reserved(name)


def mixed(text: str) -> str:
    """Return why a word of two alphabets that look alike, or with a letter that shows nothing, is refused."""
    if blank := BLANK.search(text):
        return f"U+{ord(blank[0]):04X} shows nothing."
    for word in re.split(r"[\W_]+", text):
        found = {unicodedata.name(one, "").split(" ")[0] for one in word if one.isalpha()} & ALIKE
        if len(found) > 1:
            return f"{word} mixes letters of {' and '.join(sorted(one.title() for one in found))}."
    return ""


def looks(text: str) -> frozenset[str]:
    """Return what a name is compared by, twice: without case, and by the shapes of its letters."""
    plain = unicodedata.normalize("NFKC", text)
    bare = "".join(one for one in plain if unicodedata.category(one)[0] != "C" and not BLANK.match(one))
    shapes = "".join(map(_capital, bare)).translate(SHAPES).casefold().replace("rn", "m").replace("vv", "w")
    return frozenset(" ".join(one.split()) for one in (unicodedata.normalize("NFKC", bare.casefold()), shapes))


def reserved(text: str) -> str:
    """Return why a name is refused that the product prints where no person acted, or that looks like one."""
    taken = any(_letters(text) & _letters(ours) for ours in OURS)
    return f"{text} is what the history calls what no person did; take another name." if taken else ""


def _letters(text: str) -> frozenset[str]:
    return frozenset(re.sub(r"[\W_]+", "", look) for look in looks(text))


def _capital(one: str) -> str:
    found = SMALL_CAPITAL.fullmatch(unicodedata.name(one, ""))
    return found[1] if found else one


def _triples(name: str) -> list[tuple[str, str, str]]:
    padded = ["", *name, ""]
    return [(before, one, after) for (before, one), (_, after) in pairwise(pairwise(padded))]


def _is_shown(one: str) -> bool:
    kind = unicodedata.category(one)
    return one in MARKS or ((kind[0] == "L" or kind in ("Mn", "Mc", "Nd")) and not BLANK.match(one))


def _joins(before: str, one: str, after: str) -> bool:
    """Say whether a joiner changes the shapes beside it: in Persian between letters, in India after a virama."""
    if one not in JOINERS or not before or not after:
        return False
    arabic = all(unicodedata.name(beside, "").startswith("ARABIC LETTER") for beside in (before, after))
    return unicodedata.combining(before) == VIRAMA or (one == "\u200c" and arabic)
