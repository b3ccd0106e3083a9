/** The conversation: questions go out, answers come in, and each part of the page is told. */

import { answer } from "./answering.js";
import { AnswerView } from "./answer_view.js";
import { json } from "./api.js";
import { hideTip } from "./claims.js";
import { Composer } from "./composer.js";
import { el } from "./dom.js";
import { forgetKey, key } from "./key.js";
import { Memory, begun, isOffered, turnsOf } from "./memory.js";
import { Panel } from "./panel.js";
import { Turns, isReaders } from "./turns.js";

const at = (id) => document.getElementById(id);
const turns = new Turns();
const panel = new Panel(at("document"));
const views = new Map();
const composer = new Composer(at("composer"), { send: ask, stop });
const MODEL = "twin.model";
let running = null;

/** Of an answer or a document: shown beside the conversation. */
const open = (citation, opener) => panel.show(citation, opener);
const save = () => turns.save();

function show(turn) {
  const view = new AnswerView(turn, { open, save, again });
  views.set(turn, view);
  at("turns").append(view.element);
  at("welcome").hidden = true;
}

function showAll() {
  views.clear();
  at("turns").replaceChildren();
  at("welcome").hidden = turns.list.length > 0;
  turns.list.forEach(show);
  scrollTo({ top: document.documentElement.scrollHeight });
}

function ask(question) {
  const turn = turns.add(question);
  show(turn);
  said(turn);
}

function again(turn) {
  if (running) return;
  Object.assign(turn, { text: "", grounds: null, error: null, state: "open" });
  composer.focus();
  views.get(turn).draw();
  said(turn);
}

async function said(turn) {
  const view = views.get(turn);
  running = new AbortController();
  const { signal } = running;
  composer.answering = true;
  announce("Answering…");
  follow(true);
  try {
    if (at("remember").checked) turns.conversation ??= await begun();
    turn.kept = turns.conversation !== null;
    const ended = await answer({
      messages: [
        ...(turns.conversation ? [] : turns.before(turn)), // the server has what it keeps
        { role: "user", content: turn.question },
      ],
      model: at("model").value || "twin",
      conversation: turns.conversation,
      signal,
      onText: (piece) => {
        view.said(piece);
        follow();
      },
    });
    Object.assign(turn, ended, { state: "done" });
  } catch (error) {
    turn.state = signal.aborted ? "stopped" : "failed";
    turn.error = { message: error.message, waitS: error.retryAfterS ?? 0 };
    turn.error.until = Date.now() + turn.error.waitS * 1000;
    if (!signal.aborted && !error.status && error.name !== "Error") console.error(error);
  }
  running = null;
  composer.answering = false;
  const near = nearEnd();
  view.draw();
  if (near) scrollTo({ top: document.documentElement.scrollHeight });
  turns.save();
  announce(spoken(turn));
  // Whatever the reader told the server to forget is not to stay in this tab.
  if (isReaders(turn) && turns.conversation) await renewKept().catch((error) => announce(error.message));
}

/** The turns that the server keeps, as it has them now; nothing is drawn anew where nothing is. */
async function renewKept() {
  const kept = await turnsOf(turns.conversation);
  const told = (list) => JSON.stringify(list.map(({ question, text }) => [question, text]));
  if (running || told(kept) === told(turns.list.filter((turn) => turn.kept))) return;
  turns.list = [...turns.list.filter((turn) => !turn.kept), ...kept];
  turns.save();
  showAll();
}

function stop() {
  running?.abort();
}

/** For screen readers: a whole answer once, instead of each of its pieces. */
function announce(text) {
  at("announced").textContent = text;
}

function spoken({ state, text, grounds, error }) {
  if (state === "failed") return error.message;
  if (state === "stopped") return "Stopped.";
  const count = grounds?.citations?.length ?? 0;
  return `Answer: ${text} ${count ? `${count} ${count === 1 ? "source" : "sources"}.` : ""}`;
}

function nearEnd() {
  const root = document.documentElement;
  return root.scrollHeight - scrollY - innerHeight < 160;
}

let following = 0;

/** The end stays in sight while an answer grows, unless the reader has scrolled away from it. */
function follow(always = false) {
  if (following || !(always || nearEnd())) return;
  following = requestAnimationFrame(() => {
    following = 0;
    scrollTo({ top: document.documentElement.scrollHeight });
  });
}

function renew() {
  stop();
  if (panel.open) panel.close();
  turns.clear();
  showAll();
  announce("New conversation.");
  composer.focus();
}

const memory = new Memory(at("memory-kept"), {
  current: () => turns.conversation,
  open: async (id) => {
    const list = await turnsOf(id);
    stop();
    Object.assign(turns, { list, conversation: id });
    at("remember").checked = true;
    turns.save();
    showAll();
    at("memory").close();
    composer.focus();
  },
  forgot: renewKept,
  gone: renew,
});

function showMemory() {
  at("key-kept").hidden = key() === null;
  at("tab-alone").hidden = at("remember").checked;
  at("memory").showModal();
  if (!at("memory-offer").hidden) memory.show();
}

async function listModels() {
  const names = (await json("v1/models")).data.map((each) => each.id);
  at("model").replaceChildren(
    ...names.map((name) => el("option", { value: name }, name === "twin" ? "twin, in production" : name)),
  );
  const chosen = sessionStorage.getItem(MODEL);
  if (names.includes(chosen)) at("model").value = chosen;
  at("versions").hidden = names.length < 2;
}

async function begin() {
  at("remember").checked = turns.conversation !== null;
  showAll();
  await listModels().catch((error) => announce(error.message));
  at("memory-offer").hidden = !(await isOffered());
}

at("model").addEventListener("change", () => sessionStorage.setItem(MODEL, at("model").value));
at("renew").addEventListener("click", renew);
at("show-memory").addEventListener("click", showMemory);
at("close-memory").addEventListener("click", () => at("memory").close());
at("remember").addEventListener("change", () => {
  // What was said before stays where it was; what follows is kept, or no longer is.
  if (!at("remember").checked) turns.conversation = null;
  at("tab-alone").hidden = at("remember").checked;
  turns.save();
});
at("forget-key").addEventListener("click", () => {
  forgetKey();
  at("key-kept").hidden = true;
});
addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || document.querySelector("dialog:modal")) return;
  if (hideTip()) return;
  if (panel.open) panel.close();
  else stop();
});
addEventListener("pagehide", () => running && turns.save());
begin();
