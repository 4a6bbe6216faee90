"""Words of captions and narrations that name no thing: what there is to say of hands besides them.

Words that are in none of these lists, and are no verbs of `vocabulary`, need somebody to have seen what they mean.
"""

from egorobot.pretrain.hod.events import COLUMNS, ROWS
from egorobot.pretrain.samples import SIDES

DETERMINERS = (
    r"the|an?|his|her|its|their|my|your|this|that|these|those|another|some|several|many|each|every|one|two|three|four"
    r"|five|six|seven|eight|nine|ten|eleven|twelve|\d+|\w+'s"
)
ARTICLES = {"the", "a", "an", "his", "her", "its", "their", "my", "your", "every"}  # after which a noun must come
PERSONS = {
    "c", "o", "i", "we", "you", "he", "she", "they", "him", "person", "wearer", "user", "operator", "actor", "someone",
    "somebody", "man", "woman", "boy", "girl", "chef", "lady", "people",
    "guy", "child", "kid", "baby", "cook", "baker", "worker", "player",
}  # fmt: skip

# Words that end the words of an article.
FUNCTION_WORDS = {
    "in", "on", "at", "to", "into", "onto", "of", "off", "and", "or", "nor", "with", "while", "by", "for", "from",
    "over", "under", "inside", "during", "using", "near", "then", "as", "but", "so", "that", "which", "who", "when",
    "where", "before", "after", "once", "until", "is", "are", "was", "were", "be", "been", "being", "has", "have",
    "had", "having", "it", "them", "he", "she", "they", "not", "never", "without", "both", "toward", "towards", "away",
    "along", "across", "around", "through", "against", "between", "above", "below", "behind", "beside", "upon", "out",
    "back", "up", "down", "there", "here", "still", "also", "again", "slightly", "a", "an", "the", "his", "her", "its",
    "their", "can", "may", "will", "does", "do", "did", "together", "apart", "closer", "nearer", "first", "next",
    "finally", "simultaneously", "meanwhile", "begins", "starts", "continues", "stops", "keeps", "appears", "seems",
    "comes", "uses", "used", "just", "about", "than", "if", "because", "since", "via",
}  # fmt: skip
# Words that end a name besides: after it they tell which way or how something is done.
PARTICLES = {
    "aside", "outside", "beneath", "underneath", "within", "among", "past", "beyond", "twice", "thrice", "more", "now",
    "forth", "forward", "backward", "upward", "downward", "leftward", "rightward", "inward", "outward", "toward",
    "forwards", "backwards", "upwards", "downwards", "leftwards", "rightwards", "inwards", "outwards", "sideways",
    "clockwise", "anticlockwise", "counterclockwise", "another", "this", "these", "those", "some", "it's", "properly",
}  # fmt: skip
NOUNS_IN_LY = {
    "jelly", "belly", "fly", "family", "assembly", "supply", "lily", "dolly", "trolly", "doily", "ply", "reply",
    "bully", "monopoly", "butterfly", "firefly", "ally", "gully", "holly", "brolly", "lolly", "telly", "anomaly",
}  # fmt: skip

NOUNS_OF_NOTHING = {  # that name no object
    "hand", "hands", "palm", "fist", "arm", "forearm", "fingers", "finger", "wrist", "body", "person", "wearer", "user",
    "operator", "actor", "man", "woman", "chef", "lady", "camera", "image", "frame", "view", "scene", "picture",
    "screen", "video", "clip", "corner", "edge", "side", "sides", "position", "place", "middle", "center", "way",
    "ways", "direction", "directions", "distance", "path", "arc", "line", "gap", "space", "course", "motion", "motions",
    "movement", "movements", "moment", "time", "pause", "end", "start", "beginning", "meantime", "process", "action",
    "turn", "reach", "grip", "hold", "grasp", "contact", "control", "height", "level", "bit", "little", "while", "rest",
    "thing", "others", "one", "both", "each", "second", "first", "former", "latter", "opposite",
}  # fmt: skip
ORDINALS = {"first", "second", "third", "fourth", "last", "next"}
MODIFIERS = {*SIDES, *ROWS, *COLUMNS, "other", "same", "top", "bottom", "two"}  # the same, if no noun follows
# Words that may stand anywhere: what they say cannot be wrong, or is too fine for boxes to tell.
PLAIN_WORDS = {
    # of time, degree and order
    "afterwards", "afterward", "ago", "already", "almost", "alone", "always", "any", "anymore", "anything", "all", "at",
    "beforehand", "besides", "briefly", "earlier", "early", "either", "else", "enough", "entire", "even", "ever",
    "everything", "far", "farther", "fast", "few", "final", "full", "further", "half", "halfway", "how", "however",
    "initial", "instead", "last", "later", "least", "less", "like", "longer", "low", "mid", "more", "most", "much",
    "nearby", "neither", "no", "none", "nor", "nothing", "now", "only", "opposing", "order", "ones", "otherwise",
    "partway", "past", "perhaps", "previous", "prior", "quite", "rather", "respective", "seen", "shown",
    "single", "somewhat", "soon", "steady", "such", "therefore", "thereby", "throughout", "thus", "too", "twice",
    "very", "well", "what", "whereas", "whereupon", "whether", "whole", "whose", "within", "yet", "seconds", "must",
    "might", "could", "would", "should", "itself", "himself", "herself", "themselves", "that's", "beyond",
    # of manner and state
    "aside", "bare", "careful", "close", "closed", "continuous", "controlled", "curved", "diagonal",
    "empty", "firm", "fluid", "free", "gentle", "gloved", "high", "horizontal", "idle", "immobile", "level", "long",
    "loose", "motionless", "open", "original", "outstretched", "present", "put", "quick", "ready", "relaxed", "secure",
    "sharp", "short", "shut", "slight", "slow", "smooth", "stable", "stationary", "straight", "sudden", "swift",
    "tight", "unchanged", "upright", "vertical", "visible", "care", "ease", "precision", "force", "speed",
    # verbs that need another one, or stand for it
    "allow", "allows", "became", "become", "becomes", "began", "begin", "begun", "cease", "ceases", "complete",
    "completes", "continue", "continued", "continuing", "doing", "done", "ended", "ending", "ends", "fails", "finish",
    "finished", "finishes", "followed", "following", "follows", "gets", "made", "make", "makes", "making", "perform",
    "performing", "performs", "proceed", "proceeded", "proceeding", "proceeds", "showing", "shows", "started",
    "starting", "stop", "stopped", "stopping", "use", "appear", "seem", "avoids", "visibly",
    # of hands and of what things look like
    "fingertips", "palms", "thumb", "fists", "arms", "hold", "black", "blue", "brown", "gray", "green", "grey",
    "metal", "pink", "plastic", "purple", "red", "round", "silver", "white", "wooden", "yellow", "big", "heavy",
    "large", "small", "tiny", "third", "thirds", "section", "part", "region", "area", "centre", "foreground",
    "background", "field", "across", "effort",
}  # fmt: skip


def is_adverb(word: str) -> bool:
    """Return whether a word is one in -ly."""
    return word.endswith("ly") and word not in NOUNS_IN_LY
