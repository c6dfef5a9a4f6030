"""How Telegram reads formatted text: the HTML subset to text and entities, and its limits. Facts: the Bot API's own documentation."""
import html.parser

SIMPLE = {"b": "bold", "strong": "bold", "i": "italic", "em": "italic", "u": "underline", "ins": "underline",
          "s": "strikethrough", "strike": "strikethrough", "del": "strikethrough", "tg-spoiler": "spoiler",
          "code": "code", "pre": "pre", "blockquote": "blockquote"}
TEXT_MAX, CAPTION_MAX = 4096, 1024


class Refused(Exception):
    """The platform's answer: error_code, description, and parameters if any."""

    def __init__(self, code, description, **parameters):
        super().__init__(description)
        self.code, self.description, self.parameters = code, description, parameters


def units(text):
    """Offsets and lengths count UTF-16 code units."""
    return len(text.encode("utf-16-le")) // 2


class Reader(html.parser.HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.text, self.entities, self.open = "", [], []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        entity = {"type": SIMPLE.get(tag)}
        if tag == "a":
            entity = {"type": "text_link", "url": attrs.get("href", "")}
        elif tag == "span" and attrs.get("class") == "tg-spoiler":
            entity = {"type": "spoiler"}
        elif tag == "code" and self.open and self.open[-1][0] == "pre" and attrs.get("class", "").startswith("language-"):
            self.open[-1][1]["language"] = attrs["class"][9:]
            entity = {"type": None, "skip": True}
        elif tag == "tg-emoji":
            entity = {"type": "custom_emoji", "custom_emoji_id": attrs.get("emoji-id", "")}
        elif entity["type"] is None:
            raise Refused(400, "Bad Request: can't parse entities: Unsupported start tag \"%s\" at byte offset %d" %
                          (tag, len(self.text.encode())))
        entity["offset"] = units(self.text)
        self.open.append((tag, entity))

    def handle_endtag(self, tag):
        if not self.open or self.open[-1][0] != tag:
            raise Refused(400, "Bad Request: can't parse entities: Unmatched end tag at byte offset %d" %
                          len(self.text.encode()))
        _, entity = self.open.pop()
        entity["length"] = units(self.text) - entity["offset"]
        if not entity.pop("skip", False) and entity["length"] > 0:
            self.entities.append(entity)

    def handle_data(self, data):
        self.text += data

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)


def read(text, parse_mode):
    """(plain text, entities); raises Refused as the platform would."""
    entities = []
    if parse_mode == "HTML":
        r = Reader()
        r.feed(text)
        r.close()
        if r.open:
            raise Refused(400, "Bad Request: can't parse entities: Can't find end tag corresponding to start tag \"%s\"" % r.open[-1][0])
        text, entities = r.text, sorted(r.entities, key=lambda e: (e["offset"], -e["length"]))
    elif parse_mode:
        raise Refused(400, "Bad Request: unsupported parse_mode")
    return text.strip("\n "), entities


def message_text(params, name="text", most=TEXT_MAX):
    if not isinstance(params.get(name, ""), str):
        raise Refused(400, "Bad Request: message text must be a string")
    text, entities = read(params.get(name, ""), params.get("parse_mode"))
    if not text and name == "text":
        raise Refused(400, "Bad Request: message text is empty")
    if units(text) > most:
        raise Refused(400, "Bad Request: message %sis too long" % ("caption " if name == "caption" else ""))
    return text, entities or params.get("entities", [])
