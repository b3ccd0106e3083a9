"""Which small English words may come and go in a sentence, and which tell too much for that.

Tables only, lower-case. Does not know: stems, sentences.
"""

from llm_engineering.application.rag.english import (
    AMOUNTS,
    BE,
    BOUNDS,
    BREAKS,
    HEDGES,
    MODALS,
    NEGATIONS,
    OWNERS,
    SUBORDINATE,
    words,
)

PREPOSITIONS = words(
    "about across after against along among around as at before behind below between by during for "
    "from in inside into near of off on onto out outside over through to toward towards under "
    "until up using via with within"
)
"""May begin a part that can be left out."""
PRIVATIVES = words(
    "so-called former fake alleged supposed missing potential possible hypothetical proposed "
    "planned future failed imaginary virtual unofficial would-be ex ex- pseudo"
)
"""With one before it a thing may be none of its kind."""
ARTICLES = words("a an the")
PRONOUNS = words("it this that these those they which who")
COPULAS = words("is are was were")
FILLERS = words("ever just even already own then again")
WHEN = words("next last today yesterday tomorrow here there again")
GLUE = (
    ARTICLES
    | PRONOUNS
    | words("and but also too though although while whereas yet however as of for on in at")
)
"""May be put in: they join, and say nothing by themselves."""
FACTIVES = words(
    "mean means meant found find finds learn learned learnt realize realized realise realised "
    "notice noticed discover discovered turns turned out note noted know knew see saw remember "
    "remembered"
)
"""What stands behind one is so."""

ORDINALS = frozenset(("first", "second", "third", "last", "next", "previous"))
SWEEPING = words(
    "no not never none nothing nobody nowhere neither nor without cannot hardly barely rarely "
    "seldom all any anything anyone each every everybody everyone everything always only"
)
"""The less a clause with one says of which, the more it tells."""
AUXILIARIES = MODALS.keys() | BE | frozenset(("have", "has", "had", "do", "does", "did"))
BEFORE_NOUNS = ARTICLES | OWNERS.keys() | GLUE | BREAKS
HARD_BREAKS = frozenset(".!?;:…")
ATTITUDES = frozenset(("think", "thinks", "believe", "feel", "feels", "say", "says", "said"))
NARROWING = frozenset(("that", "which", "who", "whose", "where", "when"))
"""Without a comma before them, what follows tells which ones, or when."""
COMPLEMENTS = frozenset(("that", "whether", "how", "why"))
CO_ORDINATING = frozenset(
    ("and", "but", "while", "whereas", "yet", "it", "this", "they", "i", "we")
)
"""May begin a clause that comes from another sentence."""
EXCEPTIONS = frozenset(("except", "apart", "besides", "excluding", "aside", "beyond", "barring"))
JOINTS = (BREAKS - SUBORDINATE - {"or", "until", "where", "whereby"}) | frozenset(
    ("then", "also", "too", "though", "here", "there", "now")
)
"""May begin a clause of the evidence and be left out."""
TELLING = (
    NEGATIONS
    | HEDGES
    | AMOUNTS
    | BOUNDS
    | SUBORDINATE
    | MODALS.keys()
    | EXCEPTIONS
    | PRIVATIVES
    | frozenset(("only", "theory", "paper", "principle"))
)
"""Never left out: without one, a statement says more, or the contrary."""
GOVERNING = HEDGES | SUBORDINATE | ATTITUDES | EXCEPTIONS
"""What the next clause hangs on."""
