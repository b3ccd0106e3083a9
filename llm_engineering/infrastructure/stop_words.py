"""Words too common to tell one text from another, question words included, by language.

Short on purpose: articles, pronouns, prepositions, conjunctions, auxiliaries and what questions
are made of. Lower-case, and without the apostrophes that `words` takes out.
"""

from types import MappingProxyType

_ENGLISH = """
a about after again all also am an and any are arent as at be because been before being between
both but by can cannot cant could couldnt did didnt do does doesnt doing dont down during each few
for from further had hadnt has hasnt have havent having he her here hers herself hes him himself
his how hows i if im in into is isnt it its itself ive just let me more most must my myself no nor
not of off on once only or other our ours ourselves out over own same shall she should shouldnt so
some such than that thats the their theirs them themselves then there these they this those through
to too under until up us very was wasnt we were werent what when where wheres which while who whom
whos whose why will with wont would wouldnt yes you your yours yourself yourselves
"""
_GERMAN = """
aber alle allem allen aller alles als also am an andere anderen auch auf aus bei beim bin bis bist
da damit dann das dass dein deine dem den denen der deren des dessen dich die dies diese diesem
diesen dieser dieses dir doch dort du durch ein eine einem einen einer eines er es etwas euch euer
eure für gegen gewesen hab habe haben hat hatte hatten hier hin hinter ich ihm ihn ihnen ihr ihre
ihrem ihren ihrer im in indem ins ist ja jede jedem jeden jeder jedes jene kann kannst kein keine
keinem keinen keiner können könnte machen man manche mein meine meinem meinen meiner mich mir mit
muss musste nach nicht nichts noch nun nur ob oder ohne sehr sein seine seinem seinen seiner seit
sich sie sind so solche soll sollte sondern sonst über um und uns unser unsere unter viel vom von
vor wann war waren warum was weil welche welchem welchen welcher welches wem wen wenn wer werde
werden weshalb wessen wie wieder wieso will wir wird wo wohin woher wollen wollte worden wurde
wurden würde würden zu zum zur zwar zwischen
"""
_FRENCH = """
à ai alors as au aucun aussi autre autres aux avaient avais avait avant avec avez avoir avons c car
ce ceci cela celle celles celui ces cet cette ceux chaque chez ci combien comme comment d dans de
depuis des deux donc dont du elle elles en encore entre es est et étaient étais était êtes étant
été être eu eux faire fait faut ici il ils j je jusqu l la laquelle le lequel les lesquels leur
leurs lui m ma mais me même mes moi mon n ne ni nos notre nous on ont ou où par parce pas pendant
peu peut plus pour pourquoi pu puis qu quand que quel quelle quelles quels qui quoi s sa sans se
sera ses si son sont sous suis sur t ta te tes toi ton tous tout toute toutes très tu un une vers
vos votre vous y
"""
_SPANISH = """
a al algo algunos ante antes aquel aquella así aun aunque cada casi como cómo con cual cuál cuales
cuáles cuando cuándo cuanto cuánto de del desde donde dónde dos e él el ella ellas ellos en entre
era eran eres es esa esas ese eso esos esta está están estas estar este esto estos fue fueron ha
había habían hace hacer hacia han has hasta hay he la las le les lo los mas más me mi mí mientras
mis mucho muy nada ni no nos nosotros nuestra nuestro o os otra otras otro otros para pero poco por
porque puede pueden pues que qué quien quién quienes se sea según ser si sí sido sin sobre solo
sólo somos son soy su sus también tan tanto te tener tengo ti tiene tienen todo todos tu tú tus un
una uno unos usted ustedes y ya yo
"""
_ITALIAN = """
a abbiamo ad agli ai al alla alle allo anche ancora avere aveva avevano c che chi ci come con così
cosa cui d da dagli dai dal dalla dalle dallo degli dei del dell della delle dello di dove due e è
ed era erano essere essi fa fare fra fu già gli ha hai hanno ho i il in io l la le lei lo loro lui
m ma me mi mia mie mio molto ne negli nei nel nella nelle nello noi non nostra nostro o ogni per
perché però più poi può qual quale quali quando quanto quei quella quelle quelli quello questa
queste questi questo qui s sarà se sei senza si sia siamo siete solo sono sta stata stato su sua
sue sugli sui sul sulla sulle suo t ti tra tu tua tue tuo tutti tutto un una uno v vi voi
"""
_PORTUGUESE = """
a à ao aos as às até cada com como da das de dela dele deles depois do dos e é ela elas ele eles em
entre era eram essa essas esse esses esta está estão estas estava este estes eu faz fazer foi foram
há isso isto já lhe mais mas me mesmo meu meus minha muito na não nas nem no nos nós nossa nosso
num numa o onde os ou para pela pelas pelo pelos pode podem por porque porquê pois qual quais
quando quanto que quê quem se sem ser será seu seus só sobre somos sou sua suas são também te tem
têm tenho ter teu tinha toda todas todo todos tu tua um uma uns você vocês
"""
_DUTCH = """
aan al alle alles als altijd ben bij daar dan dat de deze die dit doch doen door dus een en er ge
geen had hadden heb hebben heeft hem het hier hij hoe hun ik in is ja je jij jou jouw jullie kan
kunnen maar me meer men met mij mijn moet moeten na naar niet niets nog nu of om omdat ons onze ook
op over te tegen toch toen tot u uit uw van veel voor waar waarom wanneer want waren was wat we
welk welke werd wie wij wil worden wordt zal ze zelf zich zij zijn zo zonder zou
"""

STOP_WORDS = MappingProxyType(
    {
        language: frozenset(words.split())
        for language, words in {
            "de": _GERMAN,
            "en": _ENGLISH,
            "es": _SPANISH,
            "fr": _FRENCH,
            "it": _ITALIAN,
            "nl": _DUTCH,
            "pt": _PORTUGUESE,
        }.items()
    }
)
"""By ISO 639-1 code; a language that is not here has none."""
