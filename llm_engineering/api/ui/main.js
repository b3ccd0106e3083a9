// The page: asks, shows the answer as it comes, and keeps the conversation.

import { AnswerView } from "./answer.js";
import { call, streamed } from "./api.js";
import { Conversation } from "./conversation.js";
import { element } from "./elements.js";
import { askKey } from "./key.js";
import { showMemory } from "./memory.js";
import { openReader } from "./reader.js";
import { theme } from "./theme.js";

const at = (id) => document.getElementById(id);
const turns = at("turns");
const question = at("question");
const talk = new Conversation();
let running = null;

function tell(text) {
  at("told").textContent = text;
}

function trouble(error, again = null) {
  const box = at("trouble");
  box.replaceChildren(element("span", {}, error.message));
  if (error.retryAfter) box.append(` Again in ${error.retryAfter} s.`);
  if (again) box.append(element("button", { type: "button", onclick: again }, "Try again"));
  box.hidden = false;
}

function showQuestion(text) {
  at("welcome").hidden = true;
  turns.append(element("li", { class: "asked" }, element("p", {}, element("span", { class: "visually-hidden" }, "You asked: "), text)));
}

function newAnswer(text) {
  const view = new AnswerView({ open: openReader, tell, question: text });
  turns.append(element("li", {}, view.node));
  return view;
}

function nearEnd() {
  const page = document.scrollingElement;
  return page.scrollHeight - page.scrollTop - page.clientHeight < 160;
}

async function ask(text) {
  at("trouble").hidden = true;
  showQuestion(text);
  const asked = turns.lastElementChild;
  const view = newAnswer(text);
  const body = { model: at("version").value || "twin", ...talk.asked(text) };
  running = new AbortController();
  busy(true);
  tell("Looking for it.");
  asked.scrollIntoView({ block: "start" });
  try {
    const end = await streamed(body, { signal: running.signal, onText: (piece) => {
      const follow = nearEnd();
      view.add(piece);
      if (follow) requestAnimationFrame(() => scrollTo(0, document.scrollingElement.scrollHeight));
    } });
    view.finish({ ...end, note: end.finish === "length" ? "Cut off at the longest answer." : "" });
    asked.scrollIntoView({ block: "start" });
    talk.add({ role: "user", content: text });
    talk.add({ role: "assistant", content: view.text, grounds: end.grounds, model: end.model });
    tell(view.text);
  } catch (error) {
    if (error.name === "AbortError") {
      view.stopped();
      tell("Stopped.");
    } else {
      view.node.parentElement.remove();
      asked.remove();
      if (!turns.children.length) at("welcome").hidden = false;
      question.value ||= text;
      await failed(error, () => { question.value = ""; ask(text); });
    }
  } finally {
    running = null;
    busy(false);
    question.focus({ preventScroll: true });
  }
}

async function failed(error, again) {
  if (error.status === 401 && await askKey(error.message)) {
    await start();
    again();
  } else {
    trouble(error, again);
  }
}

function busy(on) {
  at("send").hidden = on;
  at("stop").hidden = !on;
}

async function versions() {
  const { data } = await call("v1/models");
  const chosen = at("version").value;
  at("version").replaceChildren(...data.map(({ id }) => element("option", { value: id }, id === "twin" ? "in production" : id)));
  if (data.some(({ id }) => id === chosen)) at("version").value = chosen;
}

async function keeping() {
  try {
    await call("conversations");
    at("keeping").hidden = false;
    at("keep").checked = talk.onServer;
    at("memory").hidden = !talk.onServer;
  } catch (error) {
    if (error.status !== 404) throw error;
  }
}

function clear() {
  talk.forget();
  turns.replaceChildren();
  at("welcome").hidden = false;
  at("trouble").hidden = true;
  at("keep").checked = false;
  at("memory").hidden = true;
  question.focus();
}

async function restore() {
  turns.replaceChildren();
  let last = "";
  for (const turn of await talk.load()) {
    if (turn.role === "user") showQuestion(last = turn.content);
    else newAnswer(last).restore({ text: turn.content, grounds: turn.grounds ?? null, model: turn.model ?? "" });
  }
  turns.lastElementChild?.scrollIntoView({ block: "end" });
}

async function start() {
  try {
    await Promise.all([versions(), keeping()]);
    await restore();
  } catch (error) {
    if (error.status === 401 && await askKey(error.message)) await start();
    else if (error.status !== 401) trouble(error, start);
  }
}

function grow() {
  question.style.setProperty("height", "auto");
  question.style.setProperty("height", `${question.scrollHeight + 2}px`);
}

at("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = question.value.trim();
  if (!text || running) return;
  question.value = "";
  grow();
  ask(text);
});
question.addEventListener("input", grow);
question.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    at("composer").requestSubmit();
  }
});
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && running) running.abort();
});
at("stop").addEventListener("click", () => running?.abort());
at("fresh").addEventListener("click", () => { running?.abort(); clear(); });
at("theme").addEventListener("click", () => theme.next(at("theme")));
at("memory").addEventListener("click", () => showMemory(talk, { erased: clear }));
at("keep").addEventListener("change", async () => {
  try {
    if (at("keep").checked) {
      const fresh = talk.turns.length > 0;
      await talk.keepOnServer();
      if (fresh) { turns.replaceChildren(); talk.turns = []; at("welcome").hidden = false; }
      at("memory").hidden = false;
      tell("A new conversation that the server remembers has begun.");
    } else {
      clear();
    }
  } catch (error) {
    at("keep").checked = talk.onServer;
    trouble(error);
  }
});
theme.apply(at("theme"));
start();
