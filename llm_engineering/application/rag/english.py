"""What English words do to a statement: deny it, weaken it, widen it, give it a reason, turn it.

Tables only, lower-case. Short on purpose: a word that is missing here makes the check of an answer
stricter, never looser. Does not know: stems, sentences.
"""

from typing import Literal

Person = Literal["", "I", "you", "they", "it", "noun"]
"""Who does something, or whose it is."""


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _named(lines: str) -> dict[str, str]:
    """'name: word word' by line."""
    pairs = (line.split(":") for line in lines.strip().splitlines())
    return {word: name.strip() for name, words in pairs for word in words.split()}


NEGATIONS = words(
    "no not never none nothing nobody nowhere neither nor without cannot cant dont doesnt didnt "
    "isnt arent wasnt werent wont wouldnt shouldnt couldnt hasnt havent hadnt mustnt neednt aint "
    "hardly barely rarely seldom lack lacks lacking lacked refuse refuses refused refusing decline "
    "declines declined declining forget forgets forgot forgetting fail fails "
    "failed avoid avoids avoided avoiding prevent prevents prevented preventing stop stops stopped "
    "unable impossible instead except"
)
"""What stands behind one in its clause is denied."""
NEAR_NEGATIONS = words(
    "no without none neither nor hardly barely rarely seldom lack lacks avoid avoids avoided "
    "avoiding prevent prevents prevented stop stops stopped instead except"
)
"""Those of them that go with a noun and reach only a few words."""

HEDGES = words(
    "may might could perhaps maybe probably possibly likely presumably apparently seemingly seem "
    "seems seemed suspect suspected guess guessed assume assumed assuming believe believed doubt "
    "doubted doubtful hope hoped hoping wonder wondered wish wished expect expected supposedly "
    "allegedly theoretically hypothetically would thought sometimes occasionally often "
    "usually generally typically mostly roughly about around approximately nearly almost partly "
    "want wanted plan planned planning tried trying unclear "
    "hunch impression feeling theory bet reckon imagine imagined afraid fear feared suspicion "
    "worried worry worries concerned "
    "assumption hypothesis speculate speculated unsure myth wrong false untrue incorrect mistaken "
    "rumour rumor claims claimed alleged"
)
"""What stands in the clause of one was not plainly said."""
APPROXIMATIONS = words(
    "sometimes occasionally often usually generally typically mostly roughly about around "
    "approximately nearly almost partly"
)
"""Hedges that are dropped as lies are told: without them a statement says more."""

QUANTIFIERS = _named(
    """
    all: all every each everything everyone everybody entire whole full
    fully: entirely completely fully totally wholly
    always: always invariably constantly forever
    only: only solely exclusively merely purely
    must: must required requires mandatory necessarily
    most: most majority
    any: any anything anyone anybody whatever whichever
    at once: immediately instantly
    sure: guarantee guarantees guaranteed certainly definitely surely
    exactly: exactly precisely
    many: several many numerous
    few: few
    both: both
    same: same identical
    even: even
    still: still
    already: already
    again: again
    now: now currently nowadays today
    also: too also additionally likewise
    """
)
"""How far a statement reaches, by what they have in common: one that is added makes it say more."""
MILD = frozenset(("also", "even", "still", "already", "any", "now", "same", "both"))
"""Quantifiers that may be added: they say little, or a denial asks for them."""

CAUSES = words(
    "because since therefore hence thus consequently due thanks cause causes caused causing so "
    "reason reasons why thereby"
)
"""`so` counts only where it joins clauses."""

SEQUENCES = _named(
    """
    before: before beforehand previously until till prior
    after: after afterwards afterward then later once subsequently
    if: if unless when whenever provided
    first: first firstly initially
    last: last lastly finally eventually
    than: than versus vs
    instead: instead rather
    while: while whereas meanwhile during
    """
)
"""What comes when, and in place of what."""

OPINIONS = words(
    "best better good great nice excellent perfect wonderful fantastic awesome amazing brilliant "
    "elegant clean beautiful neat cool clever smart bad worse worst terrible awful horrible ugly "
    "annoying frustrating disappointing useful useless helpful handy convenient inconvenient easy "
    "easier easiest hard harder simple simpler difficult tricky prefer prefers preferred "
    "preferable like liked love loved hate hated dislike enjoy enjoyed recommend recommends "
    "recommended favourite favorite important crucial essential worth surprisingly unfortunately "
    "sadly fortunately luckily happily impressive reliable robust safe safer unsafe superior "
    "inferior ideal suitable popular"
)
"""An evaluation is the author's to make."""

BREAKS = words(
    "and but or while whereas although though because since so which who whose that when where if "
    "unless until then whereby however yet"
)
"""Words that may begin a clause."""

DIRECTIONS = words("from to into onto than over under by before after instead until")
"""What stands on one side of it is not what stands on the other."""

OTHER_WAY = {
    "from": words("to into onto by for"),
    "to": words("from by"),
    "into": words("from by"),
    "onto": words("from by"),
    "by": words("from to into onto for"),
    "for": words("from by against"),
    "against": words("for"),
    "with": words("without"),
    "without": words("with"),
    "before": words("after"),
    "after": words("before until"),
    "until": words("after"),
    "over": words("under"),
    "under": words("over"),
    "inside": words("outside"),
    "outside": words("inside"),
}
"""What stands behind the one plays another part than behind the others."""

SUBORDINATE = words("if unless whether when whenever")

LIGHT = words(
    "use uses used using make makes made making get gets got getting do does did doing done have "
    "has had having be is are was were been being give gives gave given giving take takes took "
    "taken taking go goes went gone going come comes came coming put puts putting let lets letting "
    "need needs needed want wants thing things way ways lot lots really simply just quite rather "
    "very actually basically essentially certain particular such kind sort type own able mean "
    "means meant turn turns turned say says said called name named one ones other another further "
    "case cases part parts place time times find finds found look looks see sees work works worked "
    "working fact matter version whole regardless myself itself merely instead thus else yes "
    "ok okay well able become becomes became keep keeps kept whatever somehow per via etc course "
    "e.g i.e effectively together perfectly"
)
"""Words that claim hardly anything by themselves."""

_COUNTED = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen twenty"
)
NUMBERS = {
    **{word: str(value) for value, word in enumerate(_COUNTED.split())},
    "thirty": "30",
    "forty": "40",
    "fifty": "50",
    "sixty": "60",
    "ninety": "90",
    "hundred": "100",
    "thousand": "1000",
    "million": "1000000",
    "billion": "1000000000",
    "hundreds": "100s",
    "thousands": "1000s",
    "millions": "1000000s",
    "dozen": "12",
    "twice": "2x",
    "double": "2x",
    "triple": "3x",
    "quarter": "1/4",
    "tenth": "1/10",
    "third": "1/3",
}

MONTHS = words(
    "january february march april may june july august september october november december"
)

SUBJECTS: dict[str, Person] = {
    **dict.fromkeys(("i", "we"), "I"),
    "you": "you",
    **dict.fromkeys(("he", "she", "they"), "they"),
    **dict.fromkeys(("it", "this", "that", "these", "those", "there"), "it"),
}
"""Who does something, by the pronoun before it."""
OBJECTS: dict[str, Person] = {
    **dict.fromkeys(("me", "us"), "I"),
    "you": "you",
    **dict.fromkeys(("him", "her", "them"), "they"),
    "it": "it",
}
OWNERS: dict[str, Person] = {
    **dict.fromkeys(("my", "our", "mine", "ours"), "I"),
    **dict.fromkeys(("your", "yours"), "you"),
    **dict.fromkeys(("his", "her", "hers", "their", "theirs"), "they"),
    "its": "it",
}
RELATIVES = words("which who whose that")
BE = words("be am is are was were been being get gets got isnt arent wasnt werent im")

REPORTING = words(
    "say says said saying tell tells told telling claim claims claimed claiming argue argues "
    "argued explain explains explained suggest suggests suggested report reports reported insist "
    "insists insisted announce announces announced think thinks thought believe believes believed "
    "recommend recommends recommended advise advises advised warn warns warned complain complains "
    "complained promise promises promised heard according wrote writes written"
)
"""What stands behind one was said by its subject, who is not the author unless it is 'I'."""

FUTURES = words("intend intends intended supposed decide decided considering")
"""With 'to' behind it: not done yet."""
MODALS = {
    **dict.fromkeys(words("will shall wont gonna considering"), "future"),
    **dict.fromkeys(words("can cant cannot could couldnt able"), "can"),
    **dict.fromkeys(words("should shouldnt ought"), "should"),
    **dict.fromkeys(words("must mustnt"), "must"),
    "unless": "unless",
    "would": "would",
    **dict.fromkeys(words("formerly previously originally anymore"), "formerly"),
}
"""What a clause says of its being so: not yet, possibly, wished, demanded, no longer."""
AMOUNTS = words("some most many several few fewer half")
"""How many of what stands behind it."""
BOUNDS = words("over under above below least most than up almost nearly")
"""A number behind one is not the number itself."""
TENSES = {
    **dict.fromkeys(words("was were wasnt werent did didnt had hadnt"), "past"),
    **dict.fromkeys(words("is are am isnt arent do does dont doesnt"), "present"),
}
"""When something is so, where a small word tells."""
CURRENCIES = {
    "dollar": "$",
    "dollars": "$",
    "usd": "$",
    "euro": "€",
    "euros": "€",
    "eur": "€",
    "pounds": "£",
    "gbp": "£",
}
"""How the words behind a number are written before it."""
