"""Which English words may stand for each other, and which cannot both be true.

Groups separated by semicolons, lower-case. Does not know: stems, senses: where a word has two, only
the one that technical prose means is here.
"""


def _groups(text: str) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(group.split()) for group in text.split(";") if group.strip())


SYNONYMS = _groups(
    """
    show display render present; make create build generate produce construct;
    run execute launch invoke; start begin launch; delete remove erase drop;
    fix solve repair resolve; let allow permit enable; disable deactivate;
    fast quick rapid speedy; big large huge enormous; small little tiny; error failure exception;
    fail break; get obtain retrieve fetch receive; send transmit dispatch;
    change modify alter edit; write save store;
     keep store; use employ utilise utilize; need require;
    folder directory; picture image photo; option flag switch parameter argument; function method;
    begin start; quit exit leave; find locate discover; choose pick select; copy clone duplicate;
    print output log; see view look; help assist; update upgrade; check verify validate confirm;
    combine merge join; contain include hold; provide give offer supply; return give;
    default standard; multiple several various; connect attach; hit press push click;
    further additional extra more; just simply; attempt try; terminate end stop kill;
    reduce shrink decrease lower cut; increase raise grow; move transfer migrate;
    latest newest recent; old older previous former; slow sluggish; cheap inexpensive;
    expensive costly; price cost; accidental unintended; mistake error; undocumented unofficial;
    built-in builtin included; local locally; automatic automatically; metre meter; colour color;
    behaviour behavior; inefficient slow; fire send emit; considered counted regarded treated;
    repository repo; config configuration; app application; db database; docs documentation;
    env environment; dir directory folder; param parameter argument; auth authentication;
    js javascript; py python; internet web; site website; page webpage;
    """
)
"""Groups of words of which one may stand for another."""

ANTONYMS = _groups(
    """
    enable disable; enable deactivate; allow block; allow forbid; allow deny; allow prevent;
    permit prohibit; before after; always never; more less; more fewer; most least;
    increase decrease; increase reduce; raise lower; grow shrink; start end; start stop;
    begin end; begin stop; first last; open close; public private; local remote; input output;
    read write; import export; upload download; push pull; add remove; create delete;
    insert delete; include exclude; accept reject; accept refuse; succeed fail; success failure;
    pass fail; work fail; work break; true false; yes no; on off; up down; in out; left right;
    top bottom; above below; over under; inside outside; internal external; fast slow; quick slow;
    faster slower; big small; large small; large tiny; larger smaller; long short; longer shorter;
    high low; higher lower; old new; older newer; early late; earlier later; easy hard;
    easy difficult; simple complex; good bad; better worse; best worst; like dislike; love hate;
    cheap expensive; cheaper pricier; strong weak; safe unsafe; safe dangerous;
    possible impossible; required optional; mandatory optional; automatic manual;
    automatically manually; sync async; synchronous asynchronous; single multiple; same different;
    minimum maximum; min max; min maximum; client server; encode decode; encrypt decrypt;
    lock unlock; install uninstall; mount unmount; attach detach; connect disconnect;
    compress decompress; compress expand; lossless lossy; visible hidden; show hide;
    static dynamic; deprecated recommended; documented undocumented; efficient inefficient;
    useful useless; supported unsupported; empty full; even odd; ascending descending;
    horizontal vertical; row column; forward backward; forwards backwards; sender receiver;
    buy sell; win lose; gain lose; keep discard; keep drop; keep delete; positive negative;
    with without; unlike like; permanent temporary; permanently temporarily; common rare;
    often rarely; cold hot; warm cold; light dark; wet dry; sweet bitter; morning evening;
    day night; kilometre metre; average exact;
    """
)
"""Pairs that cannot both be true of a thing at once."""
