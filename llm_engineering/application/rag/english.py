"""What English words do to a statement: deny it, weaken it, widen it, give it a reason, turn it.

Tables only, lower-case. Short on purpose: a word that is missing here makes the check of an answer
stricter, never looser. Does not know: stems, sentences.
"""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


NEGATIONS = _words(
    "no not never none nothing nobody nowhere neither nor without cannot cant dont doesnt didnt "
    "isnt arent wasnt werent wont wouldnt shouldnt couldnt hasnt havent hadnt mustnt neednt aint "
    "hardly barely rarely seldom lack lacks lacking lacked refuse refuses refused fail fails failed "
    "avoid avoids avoided avoiding prevent prevents prevented preventing stop stops stopped "
    "unable impossible instead except"
)
"""What stands behind one in its clause is denied."""

HEDGES = _words(
    "may might could perhaps maybe probably possibly likely presumably apparently seemingly seem "
    "seems seemed suspect suspected guess guessed assume assumed assuming believe believed doubt "
    "doubted doubtful hope hoped hoping wonder wondered wish wished expect expected supposedly "
    "allegedly theoretically hypothetically would should thought sometimes occasionally often "
    "usually generally typically mostly roughly about around approximately nearly almost partly "
    "want wanted plan planned planning try tried trying consider considered considering unclear "
    "unsure myth wrong false untrue incorrect mistaken mistake rumour rumor claims claimed alleged"
)
"""What stands in the clause of one was not plainly said."""
APPROXIMATIONS = _words(
    "sometimes occasionally often usually generally typically mostly roughly about around "
    "approximately nearly almost partly"
)
"""Hedges that are dropped as lies are told: without them a statement says more."""

QUANTIFIERS = {
    **dict.fromkeys("all every each everything everyone everybody entire whole".split(), "all"),
    **dict.fromkeys("entirely completely fully totally wholly".split(), "fully"),
    **dict.fromkeys("always invariably constantly forever".split(), "always"),
    **dict.fromkeys("only solely exclusively merely purely".split(), "only"),
    **dict.fromkeys("must required requires mandatory necessarily".split(), "must"),
    **dict.fromkeys("most majority".split(), "most"),
    **dict.fromkeys("any anything anyone anybody whatever whichever".split(), "any"),
    **dict.fromkeys("immediately instantly".split(), "at once"),
    **dict.fromkeys("guarantee guarantees guaranteed certainly definitely surely".split(), "sure"),
    **dict.fromkeys("exactly precisely".split(), "exactly"),
    **dict.fromkeys("several many numerous".split(), "many"),
    **dict.fromkeys("few".split(), "few"),
    **dict.fromkeys("both".split(), "both"),
    **dict.fromkeys("same identical".split(), "same"),
    **dict.fromkeys("even".split(), "even"),
    **dict.fromkeys("still".split(), "still"),
    **dict.fromkeys("already".split(), "already"),
    **dict.fromkeys("again".split(), "again"),
    **dict.fromkeys("now currently nowadays today".split(), "now"),
    **dict.fromkeys("too also additionally likewise".split(), "also"),
}
"""How far a statement reaches, by what they have in common: one that is added makes it say more."""
MILD = frozenset(("also", "even", "still", "already", "any", "now", "same", "both"))
"""Quantifiers that may be added: they say little, or a denial asks for them."""

CAUSES = _words(
    "because since therefore hence thus consequently due thanks cause causes caused causing so "
    "reason reasons why thereby"
)
"""`so` counts only where it joins clauses."""

SEQUENCES = {
    **dict.fromkeys("before beforehand previously until till prior".split(), "before"),
    **dict.fromkeys("after afterwards afterward then later once subsequently".split(), "after"),
    **dict.fromkeys("if unless when whenever provided".split(), "if"),
    **dict.fromkeys("first firstly initially".split(), "first"),
    **dict.fromkeys("last lastly finally eventually".split(), "last"),
    **dict.fromkeys("than versus vs".split(), "than"),
    **dict.fromkeys("instead rather".split(), "instead"),
    **dict.fromkeys("while whereas meanwhile during".split(), "while"),
}
"""What comes when, and in place of what."""

OPINIONS = _words(
    "best better good great nice excellent perfect wonderful fantastic awesome amazing brilliant "
    "elegant clean beautiful neat cool clever smart bad worse worst terrible awful horrible ugly "
    "annoying frustrating disappointing useful useless helpful handy convenient inconvenient easy "
    "easier easiest hard harder simple simpler difficult tricky prefer prefers preferred preferable "
    "like liked love loved hate hated dislike enjoy enjoyed recommend recommends recommended "
    "favourite favorite important crucial essential worth surprisingly unfortunately sadly "
    "fortunately luckily happily impressive reliable robust safe safer unsafe superior inferior "
    "ideal suitable popular"
)
"""An evaluation is the author's to make."""

BREAKS = _words(
    "and but or while whereas although though because since so which who whose that when where if "
    "unless until then whereby however yet"
)
"""Words that may begin a clause."""

SUBORDINATE = _words("if unless whether")

LIGHT = _words(
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

NUMBERS = {
    word: str(value)
    for value, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
        "fifteen sixteen seventeen eighteen nineteen twenty".split()
    )
} | {
    **{"thirty": "30", "forty": "40", "fifty": "50", "sixty": "60", "ninety": "90"},
    **{"hundred": "100", "thousand": "1000", "million": "1000000", "billion": "1000000000"},
    **{"hundreds": "100s", "thousands": "1000s", "millions": "1000000s", "dozen": "12"},
    **{"half": "1/2", "twice": "2x", "double": "2x", "triple": "3x", "quarter": "1/4"},
    **{"once": "1x", "tenth": "1/10", "third": "1/3"},
}

MONTHS = {
    name: str(number)
    for number, name in enumerate(
        "january february march april may june july august september october november december"
        .split(),
        1,
    )
}

SYNONYMS = tuple(
    group.split()
    for group in (
        "show display render present",
        "make create build generate produce construct",
        "run execute launch invoke",
        "start begin launch",
        "delete remove erase drop",
        "fix solve repair resolve",
        "let allow permit enable",
        "disable deactivate",
        "fast quick rapid speedy",
        "big large huge enormous",
        "small little tiny",
        "error failure exception",
        "fail break",
        "get obtain retrieve fetch receive",
        "send transmit dispatch",
        "change modify alter edit",
        "write save store",
        "use employ utilise utilize",
        "need require",
        "folder directory",
        "picture image photo",
        "option flag switch parameter argument",
        "function method",
        "begin start",
        "quit exit leave",
        "find locate discover",
        "choose pick select",
        "copy clone duplicate",
        "print output log",
        "see view look",
        "help assist",
        "update upgrade",
        "check verify validate confirm",
        "combine merge join",
        "contain include hold",
        "provide give offer supply",
        "return give",
        "default standard",
        "multiple several various",
        "connect attach",
        "hit press push click",
        "further additional extra more",
        "just simply",
        "attempt try",
        "terminate end stop kill",
        "reduce shrink decrease lower cut",
        "increase raise grow",
        "move transfer migrate",
        "latest newest recent",
        "old older previous former",
        "slow sluggish",
        "cheap inexpensive",
        "expensive costly",
        "price cost",
        "accidental unintended",
        "mistake error",
        "undocumented unofficial",
        "built-in builtin included",
        "local locally",
        "automatic automatically",
        "metre meter",
        "colour color",
        "behaviour behavior",
        "inefficient slow",
        "fire send emit",
        "considered counted regarded treated",
        "repository repo",
        "config configuration",
        "app application",
        "db database",
        "docs documentation",
        "env environment",
        "dir directory folder",
        "param parameter argument",
        "auth authentication",
        "js javascript",
        "py python",
        "internet web",
        "site website",
        "page webpage",
    )
)
"""Groups of words of which one may stand for another."""

ANTONYMS = tuple(
    pair.split()
    for pair in (
        "enable disable",
        "enable deactivate",
        "allow block",
        "allow forbid",
        "allow deny",
        "allow prevent",
        "permit prohibit",
        "before after",
        "always never",
        "more less",
        "more fewer",
        "most least",
        "increase decrease",
        "increase reduce",
        "raise lower",
        "grow shrink",
        "start end",
        "start stop",
        "begin end",
        "begin stop",
        "first last",
        "open close",
        "public private",
        "local remote",
        "input output",
        "read write",
        "import export",
        "upload download",
        "push pull",
        "add remove",
        "create delete",
        "insert delete",
        "include exclude",
        "accept reject",
        "accept refuse",
        "succeed fail",
        "success failure",
        "pass fail",
        "work fail",
        "work break",
        "true false",
        "yes no",
        "on off",
        "up down",
        "in out",
        "left right",
        "top bottom",
        "above below",
        "over under",
        "inside outside",
        "internal external",
        "fast slow",
        "quick slow",
        "faster slower",
        "big small",
        "large small",
        "large tiny",
        "larger smaller",
        "long short",
        "longer shorter",
        "high low",
        "higher lower",
        "old new",
        "older newer",
        "early late",
        "earlier later",
        "easy hard",
        "easy difficult",
        "simple complex",
        "good bad",
        "better worse",
        "best worst",
        "like dislike",
        "love hate",
        "cheap expensive",
        "cheaper pricier",
        "strong weak",
        "safe unsafe",
        "safe dangerous",
        "possible impossible",
        "required optional",
        "mandatory optional",
        "automatic manual",
        "automatically manually",
        "sync async",
        "synchronous asynchronous",
        "single multiple",
        "same different",
        "minimum maximum",
        "min max",
        "min maximum",
        "client server",
        "encode decode",
        "encrypt decrypt",
        "lock unlock",
        "install uninstall",
        "mount unmount",
        "attach detach",
        "connect disconnect",
        "compress decompress",
        "compress expand",
        "lossless lossy",
        "visible hidden",
        "show hide",
        "static dynamic",
        "deprecated recommended",
        "documented undocumented",
        "efficient inefficient",
        "useful useless",
        "supported unsupported",
        "empty full",
        "even odd",
        "ascending descending",
        "horizontal vertical",
        "row column",
        "forward backward",
        "forwards backwards",
        "sender receiver",
        "buy sell",
        "win lose",
        "gain lose",
        "keep discard",
        "keep drop",
        "keep delete",
        "positive negative",
        "with without",
        "unlike like",
        "permanent temporary",
        "permanently temporarily",
        "common rare",
        "often rarely",
        "cold hot",
        "warm cold",
        "light dark",
        "wet dry",
        "sweet bitter",
        "morning evening",
        "day night",
        "kilometre metre",
        "average exact",
    )
)
"""Words that cannot both be true of a thing at once."""
