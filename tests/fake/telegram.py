#!/usr/bin/env python3
"""The Telegram Bot API as far as a bot can tell, for tests: polling, webhook, messages, media, and ways to misbehave.

A bot exists when it was named with --bot ID:SECRET or POST /fake/bot {"token": T, "username": U, "keep": the bot that had another token}; other tokens get 401.
Orders beside those of web.py (JSON bodies; bot is the part of the token before the colon):
    POST /fake/say     {"bot", "chat": {"id", "type", "title", "is_forum"}, "from": {"id", ...}, "text", ...}   somebody writes; further
                       members (message_thread_id, reply_to_message_id, entities, media_group_id, file: {"kind": "photo", "name", "type",
                       "hex", "bytes", "claims"}, ...) become the message's
    POST /fake/chat    {"id", "type", ...}             a chat that bots may write to, before anybody has written there
    POST /fake/update  {"bot", "update": {...}}        any other update; without update_id it gets the next one
    POST /fake/repeat  {"bot", "update_id"}            the same update is delivered again
    POST /fake/revoke  {"bot"}                         the token is no longer good; "back": true undoes it
    POST /fake/gap     {"bot", "next"}                 update numbers go on from there
    POST /fake/migrate {"bot", "chat", "to"}           the group becomes this supergroup; "quiet": true: nobody is told
    POST /fake/down    {"yes": true}                   every connection ends, and new ones, until "yes": false
    GET  /fake/shown?bot=B&chat=C                      the messages of the chat as people see them now, bots' and people's
    GET  /fake/state?bot=B                             offset, how many updates wait, webhook, commands, pollers
Faults beside those of web.py: a number (429 with retry_after=S, 500, 403, ...), parse (400 can't parse entities), migrate (to=ID),
conflict (409). "chat" restricts a fault to one chat. "method": "file" is the download of a file.

Usage: telegram.py [--port N] [--host 127.0.0.1] [--bot TOKEN ...] [--limits]; prints "port N". --limits: one message a second a chat.
Standard library only. ../conformance/telegram.mjs holds it against grammy.
"""
import argparse
import asyncio
import hashlib
import json
import re
import time
import urllib.parse

from telegram_text import CAPTION_MAX, Refused, message_text
from web import Gone, Web

CALL = re.compile(r"^/(file/)?bot([0-9]+):([A-Za-z0-9_-]+)/(.+)$")
DEFAULT_UPDATES = {"message", "edited_message", "channel_post", "edited_channel_post", "inline_query", "chosen_inline_result",
                   "callback_query", "shipping_query", "pre_checkout_query", "poll", "poll_answer", "my_chat_member",
                   "chat_join_request"}
MEDIA = {"sendPhoto": "photo", "sendDocument": "document", "sendVideo": "video", "sendAudio": "audio", "sendVoice": "voice",
         "sendAnimation": "animation", "sendVideoNote": "video_note", "sendSticker": "sticker"}
# what may be in one album with each other
ALBUMS = {"photo": "pictures", "video": "pictures", "document": "files", "audio": "music"}
PICTURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"RIFF", b"BM")
UPLOAD_MAX, PHOTO_MAX = 50 << 20, 10 << 20
EMOJI = set("👍👎❤🔥🥰👏😁🤔🤯😱🤬😢🎉🤩🤮💩🙏👌🕊🤡🥱🥴😍🐳🌚🌭💯🤣⚡🍌🏆💔🤨😐🍓🍾💋🖕😈😴😭🤓👻👀🎃🙈😇😨🤝✍🤗🫡🎅🎄☃💅🤪🗿🆒💘🙉🦄😘💊🙊😎👾😡")


class Bot:
    def __init__(self, token, username):
        self.id, self.token, self.username = int(token.split(":")[0]), token, username
        self.good = True
        self.clear()

    def clear(self):
        self.updates, self.next_update = [], 1000
        self.hook, self.allowed, self.commands, self.poller, self.conflicts, self.confirmed = {}, None, {}, None, 0, 0
        self.pending_error = None

    def me(self):
        return {"id": self.id, "is_bot": True, "first_name": self.username, "username": self.username, "can_join_groups": True,
                "can_read_all_group_messages": False, "supports_inline_queries": False, "has_main_web_app": False}


class Telegram(Web):
    def __init__(self, limits):
        self.bots, self.limits, self.is_down = {}, limits, False
        self.tasks = set()
        super().__init__()

    def forget(self):
        super().forget()
        self.chats, self.messages, self.files, self.last_sent, self.next_message, self.albums = {}, {}, {}, {}, 1, 0
        for b in self.bots.values():
            b.clear()

    def add_bot(self, token, username=None):
        b = Bot(token, username or "bot%s_bot" % token.split(":")[0])
        self.bots[b.id] = b
        return b

    # ---- calls of a bot ----
    async def handle(self, req):
        if self.is_down:
            raise Gone
        m = CALL.match(urllib.parse.unquote(req.path))
        bot = self.bots.get(int(m.group(2))) if m else None
        if bot is None or not bot.good or bot.token != "%s:%s" % (m.group(2), m.group(3)):
            return 401 if m else 404, self.no(401 if m else 404, "Unauthorized" if m else "Not Found")
        if m.group(1):
            return await self.give_file(bot, m.group(4), req)
        try:
            params = {k: self.value(v) for k, v in req.params().items()}
        except ValueError:
            return 400, self.no(400, "Bad Request: can't parse JSON object")
        method = m.group(4)
        row = self.log(method, {"bot": bot.id, **params})
        row["files"] = {k: {"name": f[0], "type": f[1], "bytes": len(f[2]), "sha256": hashlib.sha256(f[2]).hexdigest()} for k, f in req.files.items()}

        async def act():
            return await self.act(bot, method, params, req)
        f = self.fault(method, bot=bot.id, chat=params.get("chat_id"))
        done = None
        if f:
            row["fault"] = f["fault"]
            try:
                done = await self.misbehave(f, req, act) or self.said_no(f)
            except BaseException:
                row["status"] = -1
                self.tell()
                raise
        status, doc = done or await act()
        row["status"] = status
        if isinstance(doc, dict) and doc.get("ok") and isinstance(doc["result"], dict):
            row["message_id"] = doc["result"].get("message_id")
        self.tell()
        return status, doc

    async def give_file(self, bot, path, req):
        row = self.log("file", {"bot": bot.id, "path": path})

        async def act():
            data = self.files.get(path)
            return (200, data) if data is not None else (404, self.no(404, "Not Found"))
        f = self.fault("file", bot=bot.id)
        done = None
        if f:
            row["fault"] = f["fault"]
            try:
                done = await self.misbehave(f, req, act) or self.said_no(f)
            except BaseException:
                row["status"] = -1
                self.tell()
                raise
        status, doc = done or await act()
        row["status"] = status
        self.tell()
        return status, doc

    @staticmethod
    def value(v):
        """Forms carry structures as JSON text."""
        if isinstance(v, str) and v[:1] in "[{":
            try:
                return json.loads(v)
            except ValueError:
                pass
        return v

    @staticmethod
    def no(code, description, **parameters):
        doc = {"ok": False, "error_code": code, "description": description}
        return {**doc, "parameters": parameters} if parameters else doc

    def said_no(self, f):
        kind = str(f["fault"])
        if kind == "429":
            wait = int(f.get("retry_after", 1))
            return 429, self.no(429, "Too Many Requests: retry after %d" % wait, retry_after=wait)
        if kind == "parse":
            return 400, self.no(400, "Bad Request: can't parse entities: Unexpected end of name token at byte offset 3")
        if kind == "migrate":
            return 400, self.no(400, "Bad Request: group chat was upgraded to a supergroup chat", migrate_to_chat_id=int(f["to"]))
        if kind == "conflict":
            return 409, self.no(409, "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running")
        return int(kind), self.no(int(kind), f.get("description", {403: "Forbidden: bot was blocked by the user",
                                                                    500: "Internal Server Error"}.get(int(kind), "Bad Request")))

    async def act(self, bot, method, params, req):
        try:
            if method == "getUpdates":
                return 200, {"ok": True, "result": await self.get_updates(bot, params, req)}
            if len(req.body) > UPLOAD_MAX:
                raise Refused(413, "Request Entity Too Large")
            if method in MEDIA:
                result = self.send_media(bot, method, params, req)
            elif method == "sendMediaGroup":
                result = self.send_album(bot, params, req)
            else:
                call = getattr(self, "do_" + method, None)
                if call is None:
                    raise Refused(404, "Not Found: method not found")
                result = call(bot, params)
            return 200, {"ok": True, "result": result}
        except Refused as e:
            return e.code, self.no(e.code, e.description, **e.parameters)
        except (KeyError, TypeError, ValueError) as e:
            return 400, self.no(400, "Bad Request: %s" % e)

    # ---- updates ----
    async def get_updates(self, bot, p, req):
        if bot.hook.get("url"):
            raise Refused(409, "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first")
        me = bot.poller = object()  # the older poller is told that it was replaced
        self.tell()
        offset, limit = int(p.get("offset", 0)), int(p.get("limit", 100))
        if "allowed_updates" in p:
            bot.allowed = set(p["allowed_updates"]) or None
        if offset > 0:
            bot.updates = [u for u in bot.updates if u["update_id"] >= offset]
            bot.confirmed = max(bot.confirmed, offset)
        self.tell()
        await self.until(lambda: bot.poller is not me or bot.updates or req.gone() or not bot.good or self.is_down, int(p.get("timeout", 0)))
        if self.is_down:
            raise Gone
        if bot.poller is not me:
            bot.conflicts += 1
            raise Refused(409, "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running")
        bot.poller = None
        if not bot.good:
            raise Refused(401, "Unauthorized")
        return bot.updates[:limit]

    def update(self, bot, doc):
        doc.setdefault("update_id", bot.next_update)
        bot.next_update = max(bot.next_update, doc["update_id"]) + 1
        kind = next(k for k in doc if k != "update_id")
        if kind in (bot.allowed or DEFAULT_UPDATES):
            bot.updates.append(doc)
            if bot.hook.get("url"):
                self.begin(self.push(bot, doc))
        self.tell()
        return doc["update_id"]

    def begin(self, work):
        """The loop keeps no hold of its tasks."""
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def push(self, bot, doc):
        """Tells the webhook until it says 2xx, as the platform does."""
        wait = 0.1
        while bot.hook.get("url") and doc in bot.updates:
            await self.until(lambda: not self.away(), 3600)
            status = await self.post(bot.hook["url"], doc, bot.hook.get("secret_token"))
            if 200 <= status < 300:
                if doc in bot.updates:
                    bot.updates.remove(doc)
                self.tell()
                return
            bot.pending_error = "Wrong response from the webhook: %d" % status
            await asyncio.sleep(wait)
            wait = min(wait * 2, 5)

    def away(self):
        return self.is_down or not self.listener.is_serving() or any(f["method"] == "*" for f in self.faults)

    @staticmethod
    async def post(url, doc, secret):
        to = urllib.parse.urlsplit(url)
        data = json.dumps(doc).encode()
        head = "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n" % (
            to.path or "/", to.netloc, len(data))
        if secret:
            head += "X-Telegram-Bot-Api-Secret-Token: %s\r\n" % secret
        try:
            reader, writer = await asyncio.open_connection(to.hostname, to.port or 80)
            writer.write(head.encode() + b"\r\n" + data)
            line = await reader.readline()
            writer.close()
            return int(line.split()[1])
        except (OSError, IndexError, ValueError):
            return 0

    def do_setWebhook(self, bot, p):
        if p.get("url") and not re.match(r"^https?://", p["url"]):
            raise Refused(400, "Bad Request: bad webhook: An HTTPS URL must be provided for webhook")
        bot.hook = {"url": p.get("url", ""), "secret_token": p.get("secret_token")}
        if "allowed_updates" in p:
            bot.allowed = set(p["allowed_updates"]) or None
        if str(p.get("drop_pending_updates", "")).lower() == "true":
            bot.updates = []
        for u in list(bot.updates):
            self.begin(self.push(bot, u))
        bot.poller = None if bot.hook["url"] else bot.poller
        return True

    def do_deleteWebhook(self, bot, p):
        return self.do_setWebhook(bot, {"drop_pending_updates": p.get("drop_pending_updates", False)})

    def do_getWebhookInfo(self, bot, _):
        info = {"url": bot.hook.get("url", ""), "has_custom_certificate": False, "pending_update_count": len(bot.updates)}
        return {**info, "last_error_message": bot.pending_error} if bot.pending_error else info

    # ---- who, what ----
    def do_getMe(self, bot, _):
        return bot.me()

    def do_close(self, _bot, _p):
        return True

    do_logOut = do_close

    def do_getChat(self, _, p):
        return {**self.chat(p), "accent_color_id": 0, "max_reaction_count": 11}

    def do_getChatMember(self, bot, p):
        return {"status": "member", "user": bot.me() if int(p["user_id"]) == bot.id else {"id": int(p["user_id"]), "is_bot": False, "first_name": "x"}}

    def do_setMyCommands(self, bot, p):
        for c in p["commands"]:
            if not re.fullmatch(r"[a-z0-9_]{1,32}", c["command"]) or not 1 <= len(c["description"]) <= 256:
                raise Refused(400, "Bad Request: BOT_COMMAND_INVALID")
        if len(p["commands"]) > 100:
            raise Refused(400, "Bad Request: BOT_COMMANDS_TOO_MUCH")
        bot.commands[json.dumps(p.get("scope", {}))] = p["commands"]
        return True

    def do_deleteMyCommands(self, bot, p):
        bot.commands.pop(json.dumps(p.get("scope", {})), None)
        return True

    def do_getMyCommands(self, bot, p):
        return bot.commands.get(json.dumps(p.get("scope", {})), [])

    # ---- messages ----
    def chat(self, p):
        chat = self.chats.get(int(p["chat_id"]))
        if chat is None:
            raise Refused(400, "Bad Request: chat not found")
        if "migrated" in chat:
            raise Refused(400, "Bad Request: group chat was upgraded to a supergroup chat", migrate_to_chat_id=chat["migrated"])
        return chat

    def put(self, chat, doc):
        doc = {"message_id": self.next_message, "date": int(time.time()), "chat": chat, **doc}
        self.next_message += 1
        self.messages[(chat["id"], doc["message_id"])] = doc
        return doc

    def send(self, bot, p, content):
        chat = self.chat(p)
        if self.limits and time.monotonic() < self.last_sent.get(chat["id"], 0) + 1:
            raise Refused(429, "Too Many Requests: retry after 1", retry_after=1)
        self.last_sent[chat["id"]] = time.monotonic()
        doc = {"from": bot.me(), **content}
        thread = p.get("message_thread_id")
        if thread is not None:
            if not chat.get("is_forum") or int(thread) == 1:
                raise Refused(400, "Bad Request: message thread not found")
            doc["message_thread_id"], doc["is_topic_message"] = int(thread), True
        reply = p.get("reply_parameters") or ({"message_id": p["reply_to_message_id"], **p} if "reply_to_message_id" in p else None)
        if reply:
            to = self.messages.get((chat["id"], int(reply["message_id"])))
            if to:
                doc["reply_to_message"] = {k: v for k, v in to.items() if k != "reply_to_message"}
            elif str(reply.get("allow_sending_without_reply", "")).lower() != "true":
                raise Refused(400, "Bad Request: message to be replied not found")
        if "reply_markup" in p:
            doc["reply_markup"] = self.keyboard(p["reply_markup"])
        return self.put(chat, doc)

    @staticmethod
    def keyboard(markup):
        for row in markup.get("inline_keyboard", []):
            for b in row:
                if not b.get("text"):
                    raise Refused(400, "Bad Request: inline keyboard button text must be non-empty")
                if len(b.get("callback_data", "").encode()) > 64:
                    raise Refused(400, "Bad Request: BUTTON_DATA_INVALID")
        return markup

    def do_sendMessage(self, bot, p):
        text, entities = message_text(p)
        return self.send(bot, p, {"text": text, **({"entities": entities} if entities else {})})

    def file_of(self, kind, said, req):
        """The members of a message about a file that a bot sends: uploaded, or one the platform has already."""
        part = said[9:] if said.startswith("attach://") else kind
        name, mime, data = req.files.get(part) or ("file", "application/octet-stream", None)
        if data is None and (not said or said.startswith("attach://")):
            raise Refused(400, "Bad Request: there is no %s in the request" % kind.replace("_", " "))
        if data is not None and not data:
            raise Refused(400, "Bad Request: file must be non-empty")
        if kind == "photo" and data is not None and len(data) > PHOTO_MAX:
            raise Refused(400, "Bad Request: file is too big for a photo")
        if kind == "photo" and data is not None and not data.startswith(PICTURES):
            raise Refused(400, "Bad Request: IMAGE_PROCESS_FAILED")
        ref = self.store(name, data, mime) if data is not None else {"file_id": said, "file_unique_id": said[-8:]}
        if kind == "photo":
            return {kind: [{**ref, "width": 1, "height": 1}]}
        own = {kind: {**ref, "file_name": name, "mime_type": mime}}
        return {**own, "document": own[kind]} if kind == "animation" else own

    def send_media(self, bot, method, p, req):
        kind = MEDIA[method]
        caption, entities = message_text(p, "caption", CAPTION_MAX)
        body = self.file_of(kind, str(p.get(kind, "")), req)
        if caption:
            body["caption"] = caption
            if entities:
                body["caption_entities"] = entities
        return self.send(bot, p, body)

    def send_album(self, bot, p, req):
        media = p["media"]
        if not 2 <= len(media) <= 10:
            raise Refused(400, "Bad Request: group of messages must have 2-10 messages")
        if len({ALBUMS.get(m["type"]) for m in media}) != 1 or media[0]["type"] not in ALBUMS:
            raise Refused(400, "Bad Request: these types of media can't be mixed in one album")
        if "reply_markup" in p:
            raise Refused(400, "Bad Request: an album has no keyboard")
        bodies = []
        for i, m in enumerate(media):
            try:
                body = self.file_of(m["type"], m["media"], req)
            except Refused as e:
                raise Refused(e.code, "Bad Request: failed to send message #%d with the error message \"%s\"" % (i + 1, e.description)) from e
            caption, entities = message_text(m, "caption", CAPTION_MAX)
            bodies.append({**body, **({"caption": caption} if caption else {}), **({"caption_entities": entities} if entities else {})})
        self.albums += 1
        group = "%d%d" % (bot.id, self.albums)
        sent = []
        for body in bodies:  # counted as one by --limits, as one call is
            sent.append(self.send(bot, p, {**body, "media_group_id": group}))
            self.last_sent.pop(sent[-1]["chat"]["id"], None)
        self.last_sent[sent[-1]["chat"]["id"]] = time.monotonic()
        return sent

    def store(self, name, data, mime):
        path = "%s/file_%d%s" % (mime.split("/")[0], len(self.files), "." + name.rsplit(".", 1)[1] if "." in name else "")
        self.files[path] = data
        return {"file_id": "F" + path.replace("/", "-"), "file_unique_id": "U%d" % len(self.files), "file_size": len(data)}

    def do_getFile(self, _, p):
        path = p["file_id"][1:].replace("-", "/", 1)
        if path not in self.files:
            raise Refused(400, "Bad Request: invalid file_id")
        if len(self.files[path]) > 20 << 20:
            raise Refused(400, "Bad Request: file is too big")
        return {"file_id": p["file_id"], "file_unique_id": "U", "file_size": len(self.files[path]), "file_path": path}

    def do_sendPoll(self, bot, p):
        if not 2 <= len(p["options"]) <= 12:
            raise Refused(400, "Bad Request: poll must have at least 2 option")
        options = [{"text": o["text"] if isinstance(o, dict) else o, "voter_count": 0} for o in p["options"]]
        return self.send(bot, p, {"poll": {"id": "P%d" % self.next_message, "question": p["question"], "options": options,
                                           "total_voter_count": 0, "is_closed": False, "is_anonymous": True, "type": "regular",
                                           "allows_multiple_answers": bool(p.get("allows_multiple_answers"))}})

    def own(self, bot, p, verb):
        m = self.messages.get((self.chat(p)["id"], int(p["message_id"])))
        if m is None:
            raise Refused(400, "Bad Request: message to %s not found" % verb)
        if verb == "edit" and m.get("from", {}).get("id") != bot.id:
            raise Refused(400, "Bad Request: message can't be edited")
        return m

    def do_editMessageText(self, bot, p):
        m, (text, entities) = self.own(bot, p, "edit"), message_text(p)
        if "text" not in m:
            raise Refused(400, "Bad Request: there is no text in the message to edit")
        markup = self.keyboard(p["reply_markup"]) if "reply_markup" in p else None
        if (m.get("text"), m.get("entities", []), m.get("reply_markup")) == (text, entities, markup):
            raise Refused(400, "Bad Request: message is not modified: specified new message content and reply markup are exactly the same")
        m.update({"text": text, "entities": entities, "edit_date": int(time.time())})
        m.pop("reply_markup", None)
        m.update({"reply_markup": markup} if markup else {})
        m["edits"] = m.get("edits", 0) + 1
        return {k: v for k, v in m.items() if k != "edits"}

    def do_editMessageCaption(self, bot, p):
        m, (text, entities) = self.own(bot, p, "edit"), message_text(p, "caption", CAPTION_MAX)
        if m.get("caption", "") == text and m.get("caption_entities", []) == entities:
            raise Refused(400, "Bad Request: message is not modified: specified new message content and reply markup are exactly the same")
        m.update({"caption": text, "caption_entities": entities, "edit_date": int(time.time())})
        return m

    def do_editMessageReplyMarkup(self, bot, p):
        m = self.own(bot, p, "edit")
        m["reply_markup"] = self.keyboard(p.get("reply_markup", {}))
        return m

    def do_deleteMessage(self, bot, p):
        m = self.own(bot, p, "delete")
        del self.messages[(m["chat"]["id"], m["message_id"])]
        return True

    def do_setMessageReaction(self, bot, p):
        m = self.own(bot, p, "react")
        for r in p.get("reaction", []):
            if r["type"] == "emoji" and r["emoji"].rstrip("\ufe0f") not in EMOJI:
                raise Refused(400, "Bad Request: REACTION_INVALID")
        m.setdefault("reactions", {})[str(bot.id)] = [r.get("emoji") for r in p.get("reaction", [])]
        return True

    def do_sendChatAction(self, _, p):
        self.chat(p)
        return True

    def do_answerCallbackQuery(self, _, p):
        if not p["callback_query_id"]:
            raise Refused(400, "Bad Request: query is too old and response timeout expired or query ID is invalid")
        return True

    # ---- orders of a test ----
    async def order(self, what, req):
        doc = req.params()
        if what == "bot":
            old = self.bots.get(int(doc["token"].split(":")[0]))
            if old and doc.get("keep"):  # the same bot, a new token
                old.token, old.good = doc["token"], True
            else:
                self.add_bot(doc["token"], doc.get("username"))
            return 200, {"ok": True}
        bot = self.bots.get(int(doc["bot"])) if "bot" in doc else None
        call = getattr(self, "order_" + what, None)
        if call is None:
            said = await super().order(what, req)
            self.tell()
            return said
        return 200, call(bot, doc)

    def order_say(self, bot, doc):
        chat = {"type": "private", **doc.pop("chat")}
        sender = {"is_bot": False, "first_name": "Somebody", **doc.pop("from", {})}
        doc.pop("bot")
        self.chats.setdefault(chat["id"], chat)
        kind = doc.pop("kind", "channel_post" if chat["type"] == "channel" else "message")
        update_id = doc.pop("update_id", None)
        if "reply_to_message_id" in doc:
            to = self.messages.get((chat["id"], doc.pop("reply_to_message_id")))
            doc["reply_to_message"] = {k: v for k, v in to.items() if k != "reply_to_message"}
        if "file" in doc:  # {"kind": "photo", "name": ..., "type": ..., "hex" and "bytes": in all, "claims": what is said of its size}
            f = doc.pop("file")
            data = bytes.fromhex(f.get("hex", "")).ljust(f.get("bytes", 0), b"\0")
            ref = self.store(f.get("name") or "file.bin", data, f.get("type", "application/octet-stream"))
            if "claims" in f:
                ref["file_size"] = f["claims"]
            about = {k: v for k, v in (("file_name", f.get("name")), ("mime_type", f.get("type"))) if v}
            doc[f["kind"]] = [{**ref, "width": 1, "height": 1}] if f["kind"] == "photo" else {**ref, **about}
        m = self.put(chat, {**({} if chat["type"] == "channel" else {"from": sender}), **doc})
        up = {kind: m} if update_id is None else {"update_id": update_id, kind: m}
        return {"update_id": self.update(bot, up), "message_id": m["message_id"], "message": m}

    def order_chat(self, _, doc):
        self.chats[doc["id"]] = doc
        return {"ok": True}

    def order_update(self, bot, doc):
        return {"update_id": self.update(bot, doc["update"])}

    def order_repeat(self, bot, doc):
        bot.updates.append(next(dict(u) for u in bot.updates if u["update_id"] == doc["update_id"]) if "update" not in doc else doc["update"])
        self.tell()
        return {"ok": True}

    def order_revoke(self, bot, doc):
        bot.good = bool(doc.get("back"))
        self.tell()
        return {"ok": True}

    def order_migrate(self, bot, doc):
        old, new = self.chats[doc["chat"]], {**self.chats[doc["chat"]], "id": doc["to"], "type": "supergroup"}
        self.chats[doc["to"]] = new
        if not doc.get("quiet"):
            self.update(bot, {"message": self.put({k: v for k, v in old.items()}, {"from": {"id": 7, "is_bot": False, "first_name": "A"},
                                                                                 "migrate_to_chat_id": doc["to"]})})
            self.update(bot, {"message": self.put(new, {"from": {"id": 7, "is_bot": False, "first_name": "A"}, "migrate_from_chat_id": doc["chat"]})})
        self.chats[doc["chat"]] = {**old, "migrated": doc["to"]}
        return {"ok": True}

    def order_down(self, _, doc):
        self.is_down = bool(doc["yes"])
        self.tell()
        return {"ok": True}

    def order_gap(self, bot, doc):
        bot.next_update = int(doc["next"])
        return {"ok": True}

    def order_shown(self, bot, doc):
        return [m for (chat, _), m in sorted(self.messages.items())
                if ("chat" not in doc or chat == int(doc["chat"])) and
                (bot is None or m.get("from", {}).get("id") == bot.id or not m.get("from", {}).get("is_bot"))]

    def order_state(self, bot, _):
        return {"confirmed": bot.confirmed, "waiting": [u["update_id"] for u in bot.updates], "webhook": bot.hook, "commands": bot.commands,
                "polling": bot.poller is not None, "conflicts": bot.conflicts}


async def main():
    args = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    args.add_argument("--host", default="127.0.0.1")
    args.add_argument("--port", type=int, default=0)
    args.add_argument("--bot", action="append", default=[], help="a token ID:SECRET that is good")
    args.add_argument("--limits", action="store_true")
    opt = args.parse_args()
    platform = Telegram(opt.limits)
    for token in opt.bot:
        platform.add_bot(token)
    await platform.serve(opt.host, opt.port)


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        pass
