/*
 * telegram.mjs - is the fake Telegram true? grammy, the widely used bot library, must work against it unmodified.
 *   node telegram.mjs     starts ../fake/telegram.py by itself; the last line sums up
 */
import { spawn } from "node:child_process";
import assert from "node:assert/strict";
import http from "node:http";
import { fileURLToPath } from "node:url";
import { Bot, GrammyError, InlineKeyboard, InputFile, InputMediaBuilder, webhookCallback } from "grammy";

const TOKEN = "4242:good-token_of-a-bot";
const here = (p) => fileURLToPath(new URL(p, import.meta.url));
const fake = spawn("python3", [here("../fake/telegram.py"), "--bot", TOKEN], { stdio: ["ignore", "pipe", "inherit"] });
const port = await new Promise((done) => fake.stdout.once("data", (d) => done(Number(/port (\d+)/.exec(d)[1]))));
const base = `http://127.0.0.1:${port}`;

const order = async (what, body) => {
  const res = await fetch(`${base}/fake/${what}`, body && { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
  const doc = await res.json();
  assert.ok(res.ok, `${what}: ${JSON.stringify(doc)}`);
  return doc;
};
const say = (more) => order("say", { bot: 4242, chat: { id: 7 }, from: { id: 7, first_name: "Ada" }, ...more });
const newBot = () => new Bot(TOKEN, { client: { apiRoot: base } });
const refused = (call, code, words) =>
  assert.rejects(call, (e) => e instanceof GrammyError && e.error_code === code && e.description.includes(words));

/* a bot that polls while work(bot) runs */
async function polling(prepare, work) {
  const bot = newBot();
  let failed;
  bot.catch((e) => (failed = e));
  prepare(bot);
  let up;
  const started = new Promise((done) => (up = done));
  const end = bot.start({ onStart: () => up(), allowed_updates: ["message", "edited_message", "callback_query", "message_reaction"] });
  await started;
  try {
    await work(bot);
  } finally {
    await bot.stop();
    await end;
  }
  if (failed) throw failed.error ?? failed;
}

const cases = {
  async "who am I"() {
    const me = await newBot().api.getMe();
    assert.equal(me.id, 4242);
    assert.equal(me.is_bot, true);
  },
  async "a wrong token is refused"() {
    const bot = new Bot("4242:other", { client: { apiRoot: base } });
    await refused(bot.api.getMe(), 401, "Unauthorized");
  },
  async "a message in, an answer out, and the update is confirmed"() {
    const said = await say({ text: "hello" });
    await polling((bot) => bot.on("message:text", (ctx) => ctx.reply("you said " + ctx.message.text, { reply_parameters: { message_id: ctx.message.message_id } })),
      () => order("wait?method=sendMessage&text=you%20said%20hello"));
    const shown = await order("shown?bot=4242&chat=7");
    assert.equal(shown.at(-1).reply_to_message.message_id, said.message_id);
    assert.ok((await order("state?bot=4242")).confirmed > said.update_id);
  },
  async "commands of a group, with the bot's name"() {
    await order("say", { bot: 4242, chat: { id: -100, type: "supergroup", title: "g" }, from: { id: 7, first_name: "Ada" }, text: "/ping@bot4242_bot now",
      entities: [{ type: "bot_command", offset: 0, length: 17 }] });
    await polling((bot) => bot.command("ping", (ctx) => ctx.reply("pong " + ctx.match)), () => order("wait?method=sendMessage&text=pong%20now"));
  },
  async "HTML becomes entities, wrong HTML is refused"() {
    const bot = newBot();
    const m = await bot.api.sendMessage(7, '<b>a</b> &lt; <a href="https://x.y/">l</a> <pre><code class="language-c">int</code></pre>', { parse_mode: "HTML" });
    assert.equal(m.text, "a < l int");
    assert.deepEqual(m.entities.map((e) => [e.type, e.offset, e.length]), [["bold", 0, 1], ["text_link", 4, 1], ["pre", 6, 3]]);
    await refused(bot.api.sendMessage(7, "<b>a", { parse_mode: "HTML" }), 400, "can't parse entities");
    await refused(bot.api.sendMessage(7, "<script>x</script>", { parse_mode: "HTML" }), 400, "Unsupported start tag");
  },
  async "limits of a text"() {
    const bot = newBot();
    await bot.api.sendMessage(7, "x".repeat(4096));
    await refused(bot.api.sendMessage(7, "x".repeat(4097)), 400, "message is too long");
    await refused(bot.api.sendMessage(7, "\u{1F600}".repeat(2049)), 400, "message is too long");
    await refused(bot.api.sendMessage(7, " "), 400, "message text is empty");
    await refused(bot.api.sendMessage(999, "x"), 400, "chat not found");
  },
  async "an edit, the same edit again, reactions, deletion"() {
    const bot = newBot();
    const m = await bot.api.sendMessage(7, "first");
    assert.equal((await bot.api.editMessageText(7, m.message_id, "second")).text, "second");
    await refused(bot.api.editMessageText(7, m.message_id, "second"), 400, "message is not modified");
    await bot.api.setMessageReaction(7, m.message_id, [{ type: "emoji", emoji: "👀" }]);
    await refused(bot.api.setMessageReaction(7, m.message_id, [{ type: "emoji", emoji: "🦖" }]), 400, "REACTION_INVALID");
    await bot.api.deleteMessage(7, m.message_id);
    await refused(bot.api.editMessageText(7, m.message_id, "third"), 400, "message to edit not found");
  },
  async "buttons are pressed"() {
    const bot = newBot();
    const m = await bot.api.sendMessage(7, "choose", { reply_markup: new InlineKeyboard().text("Yes", "y:1") });
    await order("update", { bot: 4242, update: { callback_query: { id: "c1", from: { id: 7, is_bot: false, first_name: "Ada" }, chat_instance: "1", message: m, data: "y:1" } } });
    await polling((b) => b.callbackQuery("y:1", (ctx) => ctx.answerCallbackQuery("done")), () => order("wait?method=answerCallbackQuery&text=done"));
    await refused(bot.api.sendMessage(7, "x", { reply_markup: new InlineKeyboard().text("No", "n".repeat(65)) }), 400, "BUTTON_DATA_INVALID");
  },
  async "reactions come only when asked for"() {
    const reaction = { message_reaction: { chat: { id: 7, type: "private" }, message_id: 1, user: { id: 7, is_bot: false, first_name: "A" }, date: 1, old_reaction: [], new_reaction: [{ type: "emoji", emoji: "👍" }] } };
    let heard = 0;
    await polling((b) => b.on("message_reaction", () => void heard++), async () => {
      await order("update", { bot: 4242, update: reaction });
      const { update_id } = await say({ text: "after" });
      while ((await order("state?bot=4242")).confirmed <= update_id) await new Promise((r) => setTimeout(r, 5));
    });
    assert.equal(heard, 1);
  },
  async "media up and down"() {
    const bot = newBot();
    const data = Buffer.from("89504e470d0a1a0a0000", "hex");
    const m = await bot.api.sendPhoto(7, new InputFile(data, "a.png"), { caption: "<i>cap</i>", parse_mode: "HTML" });
    assert.equal(m.caption, "cap");
    const file = await bot.api.getFile(m.photo[0].file_id);
    const back = Buffer.from(await (await fetch(`${base}/file/bot${TOKEN}/${file.file_path}`)).arrayBuffer());
    assert.deepEqual(back, data);
    await refused(bot.api.sendPhoto(7, new InputFile(data, "a.png"), { caption: "x".repeat(1025) }), 400, "too long");
  },
  async "albums, documents, voices"() {
    const bot = newBot();
    const png = () => new InputFile(Buffer.from("89504e470d0a1a0a0000", "hex"), "a.png");
    const pdf = () => new InputFile(Buffer.from("%PDF-1.7"), "b.pdf");
    const album = await bot.api.sendMediaGroup(7, [InputMediaBuilder.photo(png(), { caption: "<b>two</b>", parse_mode: "HTML" }), InputMediaBuilder.photo(png())]);
    assert.equal(album.length, 2);
    assert.equal(album[0].media_group_id, album[1].media_group_id);
    assert.equal(album[0].caption, "two");
    assert.equal(album[0].caption_entities[0].type, "bold");
    assert.equal(album[1].caption, undefined);
    assert.equal(album[1].photo[0].file_size, 10);
    await refused(bot.api.sendMediaGroup(7, [InputMediaBuilder.photo(png()), InputMediaBuilder.document(pdf())]), 400, "mixed");
    await refused(bot.api.sendMediaGroup(7, [InputMediaBuilder.photo(png())]), 400, "2-10");
    await refused(bot.api.sendMediaGroup(7, [InputMediaBuilder.photo(png()), InputMediaBuilder.photo(pdf())]), 400, "IMAGE_PROCESS_FAILED");
    await refused(bot.api.sendPhoto(7, pdf()), 400, "IMAGE_PROCESS_FAILED");
    const doc = await bot.api.sendDocument(7, pdf(), { caption: "file" });
    assert.equal(doc.document.file_name, "b.pdf");
    assert.equal(doc.document.file_size, 8);
    assert.equal((await bot.api.sendDocument(7, doc.document.file_id)).document.file_id, doc.document.file_id);
    assert.ok((await bot.api.sendVoice(7, new InputFile(Buffer.from("OggS"), "v.ogg"))).voice.file_id);
    assert.ok((await bot.api.sendAnimation(7, new InputFile(Buffer.from("GIF89a"), "g.gif"))).document.file_id);
    assert.equal((await bot.api.editMessageCaption(7, doc.message_id, { caption: "other" })).caption, "other");
    await refused(bot.api.editMessageText(7, doc.message_id, "x"), 400, "no text in the message to edit");
    await refused(bot.api.sendDocument(7, new InputFile(Buffer.alloc(0), "e")), 400, "non-empty");
  },
  async "files of people: what getFile gives, and what comes of it"() {
    const bot = newBot();
    const { message } = await say({ caption: "look", file: { kind: "document", name: "a.txt", type: "text/plain", hex: "616263" } });
    const id = message.document.file_id;
    const url = async () => `${base}/file/bot${TOKEN}/${(await bot.api.getFile(id)).file_path}`;
    assert.equal((await bot.api.getFile(id)).file_size, 3);
    assert.equal(await (await fetch(await url())).text(), "abc");
    await order("fault", { method: "file", fault: "half" });
    await assert.rejects(async () => (await fetch(await url())).text());
    await order("fault", { method: "file", fault: "500" });
    assert.equal((await fetch(await url())).status, 500);
    assert.equal((await fetch((await url()) + "x")).status, 404);
    await order("fault", { method: "getFile", fault: "429", retry_after: 2 });
    await assert.rejects(bot.api.getFile(id), (e) => e.error_code === 429 && e.parameters.retry_after === 2);
    await refused(bot.api.getFile("Fnone"), 400, "invalid file_id");
    const big = await say({ file: { kind: "video", bytes: (20 << 20) + 1 } });
    await refused(bot.api.getFile(big.message.video.file_id), 400, "file is too big");
    await bot.api.getUpdates({ offset: big.update_id + 1 }); // nothing is left for the other cases
  },
  async "commands menu"() {
    const bot = newBot();
    await bot.api.setMyCommands([{ command: "help", description: "What I can do" }]);
    assert.equal((await bot.api.getMyCommands())[0].command, "help");
    await refused(bot.api.setMyCommands([{ command: "Help", description: "x" }]), 400, "BOT_COMMAND_INVALID");
  },
  async "flood, break and repeat"() {
    const bot = newBot();
    await order("fault", { method: "sendMessage", fault: "429", retry_after: 3 });
    await assert.rejects(bot.api.sendMessage(7, "x"), (e) => e.error_code === 429 && e.parameters.retry_after === 3);
    await order("fault", { method: "sendMessage", fault: "cut" });
    await assert.rejects(bot.api.sendMessage(7, "never there"));
    await order("fault", { method: "sendMessage", fault: "lost" });
    await assert.rejects(bot.api.sendMessage(7, "there all the same"));
    const texts = (await order("shown?bot=4242&chat=7")).map((m) => m.text);
    assert.ok(!texts.includes("never there") && texts.includes("there all the same"));
  },
  async "two pollers: the older one is sent away"() {
    const [a, b] = [newBot(), newBot()];
    const first = a.api.getUpdates({ timeout: 20, offset: -0 });
    await order("wait?method=getMe&count=1");
    while (!(await order("state?bot=4242")).polling) await new Promise((r) => setTimeout(r, 5));
    const second = b.api.getUpdates({ timeout: 0, offset: 100000 });
    await refused(first, 409, "terminated by other getUpdates");
    await second;
  },
  async "webhook with its secret, told again until it is taken"() {
    const bot = newBot();
    const texts = [];
    bot.on("message:text", (ctx) => void texts.push(ctx.message.text));
    const handler = webhookCallback(bot, "http", { secretToken: "s3cret" });
    let calls = 0;
    let taken;
    const done = new Promise((r) => (taken = r));
    const server = http.createServer((req, res) => {
      calls++;
      if (calls === 1) return void res.writeHead(500).end();
      handler(req, res).then(taken);
    });
    await new Promise((r) => server.listen(0, "127.0.0.1", r));
    await bot.api.setWebhook(`http://127.0.0.1:${server.address().port}/hook`, { secret_token: "s3cret" });
    await refused(bot.api.getUpdates(), 409, "webhook is active");
    await say({ text: "by hook" });
    await done;
    while ((await order("state?bot=4242")).waiting.length) await new Promise((r) => setTimeout(r, 5));
    assert.deepEqual(texts, ["by hook"]);
    assert.equal(calls, 2);
    await bot.api.deleteWebhook();
    server.closeAllConnections();
    server.close();
  },
  async "forum topics"() {
    const bot = newBot();
    const { message_id } = await order("say", { bot: 4242, chat: { id: -200, type: "supergroup", title: "f", is_forum: true }, from: { id: 7 }, text: "t", message_thread_id: 5, is_topic_message: true });
    const m = await bot.api.sendMessage(-200, "in topic", { message_thread_id: 5, reply_parameters: { message_id } });
    assert.equal(m.message_thread_id, 5);
    await refused(bot.api.sendMessage(-200, "general", { message_thread_id: 1 }), 400, "message thread not found");
    await refused(bot.api.sendMessage(7, "x", { message_thread_id: 5 }), 400, "message thread not found");
  },
  async "revoked"() {
    await order("revoke", { bot: 4242 });
    await refused(newBot().api.getMe(), 401, "Unauthorized");
  },
};

let failed = 0;
for (const [name, run] of Object.entries(cases)) {
  try {
    await run();
    console.log("ok    " + name);
  } catch (e) {
    failed++;
    console.log("FAIL  " + name + "\n" + (e.stack ?? e));
  }
}
fake.kill();
console.log(`${Object.keys(cases).length - failed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
