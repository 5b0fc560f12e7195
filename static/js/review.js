// Review: keys, the time that a case takes, and the next case loaded before it is needed.
// Without this file each answer leads to the page of the next case.

const AGAIN_MS = 3000;
const token = () => JSON.parse(document.body.getAttribute("hx-headers"))["x-csrftoken"];
const current = () => document.querySelector("[data-case]");
const parsed = (text) => new DOMParser().parseFromString(text, "text/html").querySelector("[data-case]");

// One request after the other, so that an answer never overtakes the one before it.
let line = Promise.resolve();
let ahead = null;

const post = async (url, data) => {
  const answer = await fetch(url, { method: "POST", body: data, headers: { "HX-Request": "true", "HX-Current-URL": location.href, "X-CSRFToken": token() } });
  const elsewhere = answer.headers.get("HX-Redirect");
  if (elsewhere) location.href = elsewhere;
  return answer;
};

// The time that a case is looked at, without that in which the page was hidden
let seenMs = 0, since = performance.now();
const spent = () => seenMs + (document.hidden ? 0 : performance.now() - since);
document.addEventListener("visibilitychange", () => {
  if (document.hidden) seenMs += performance.now() - since; else since = performance.now();
});
setInterval(() => {
  const seconds = Math.floor(spent() / 1000), clock = document.querySelector("[data-clock]");
  if (clock) clock.textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")} on this case`;
}, 1000);

const show = (node, keepsTime = false) => {
  current().replaceWith(node);
  node.removeAttribute("aria-busy");
  htmx.process(node);
  if (!keepsTime) { seenMs = 0; since = performance.now(); }
  if (node.dataset.url) history.replaceState(null, "", node.dataset.url);
  (node.querySelector("[data-problem], [data-focus]") ?? node).scrollIntoView({ block: "nearest" });
  node.querySelector("[data-start]")?.focus({ preventScroll: true });
  if (!node.querySelector("[data-problem]")) scrollTo(0, 0);
};

const tell = (node, text) => {
  node.querySelector("[data-problem]")?.remove();
  const note = Object.assign(document.createElement("div"), { className: "note bad", textContent: text });
  note.dataset.problem = "";
  note.setAttribute("role", "alert");
  node.prepend(note);
};

// What is filled in later on the page comes with the case.
const load = async () => {
  const node = current();
  if (ahead || !node?.dataset.ahead) return;
  try {
    const answer = await post(node.dataset.ahead, new FormData());
    if (answer.status === 200) await keep(parsed(await answer.text()));
  } catch { /* The next case comes with the answer, then. */ }
};
const keep = async (node) => {
  if (!node || node.dataset.case === current().dataset.case) return;
  ahead = node;
  await Promise.all([...node.querySelectorAll("[data-part][hx-get]")].map(async (part) => {
    const answer = await fetch(part.getAttribute("hx-get"), { headers: { "HX-Request": "true" } });
    if (!answer.ok) return;
    part.innerHTML = await answer.text();
    part.removeAttribute("hx-get");
  }));
};
const loadSoon = () => { line = line.then(load); };

const UNREACHED = "The server cannot be reached. What you said is still here: press Enter to send it again.";
const send = async (form, button) => {
  const node = current(), data = new FormData(form, button);
  if (data.has("spent")) data.set("spent", Math.round(spent()));
  const next = form.matches("[data-judge]") ? ahead : null;
  ahead = null;
  if (next) { data.set("beside", next.dataset.case); show(next); } else node.setAttribute("aria-busy", "true");
  let answer;
  try { answer = await post(form.action, data); } catch { answer = null; }
  if (!answer || answer.status >= 500) return back(node, next, UNREACHED);
  const came = answer.status === 204 ? null : parsed(await answer.text());
  if (!answer.ok || (answer.status !== 204 && !came)) return back(came ?? node, next, came ? "" : `That did not work (${answer.status}). What you said is still here.`);
  if (next) await keep(came); else if (came) show(came);
  loadSoon();
};

// A refused answer comes back with what was said; the case that stood there waits again.
const back = (node, next, text) => {
  if (text) tell(node, text);
  if (next) ahead = next;
  if (node === current()) node.removeAttribute("aria-busy"); else show(node, true);
  const problem = node.querySelector("[data-problem]");
  if (problem) { problem.tabIndex = -1; problem.focus(); }
};

const undo = async (form) => {
  const before = current();
  try {
    const answer = await post(form.action, new FormData(form));
    if (!answer.ok) { tell(before, await answer.text()); return; }
    show(parsed(await answer.text()));
    ahead = before.dataset.case ? before : null;
  } catch { tell(before, "The server cannot be reached; nothing was undone."); }
};

const isBusy = () => current()?.hasAttribute("aria-busy");
document.addEventListener("submit", (e) => {
  const form = e.target;
  if (!form.matches("[data-send], [data-undo]")) return;
  e.preventDefault();
  if (isBusy()) return;
  const button = e.submitter, act = form.matches("[data-undo]") ? undo : send;
  line = line.then(() => act(form, button));
});

// What was typed is kept; where the connection is lost, until it is there again
const again = (e) => {
  const field = e.target;
  if (field.matches?.("[data-draft]")) setTimeout(() => { if (field.isConnected) htmx.trigger(field, "again"); }, AGAIN_MS);
};
document.addEventListener("htmx:sendError", again);
document.addEventListener("htmx:timeout", again);
document.addEventListener("htmx:beforeRequest", (e) => { if (e.target.matches?.("[data-draft]") && isBusy()) e.preventDefault(); });

// Keys
const press = (element) => {
  if (element.matches("input[type=radio]")) {
    const none = element.checked && element.closest("fieldset").querySelector("[data-none]");
    (none || element).checked = true;
    element.dispatchEvent(new Event("input", { bubbles: true }));
    const to = element.dataset.leadsTo && document.querySelector(element.dataset.leadsTo);
    if (to && !to.value) to.focus(); else element.focus({ preventScroll: true });
  } else if (element.matches("input, textarea")) element.focus();
  else element.click();
};
const confirm = () => {
  const button = current()?.querySelector("[data-confirm]");
  button?.form?.requestSubmit(button);
};
document.addEventListener("keydown", (e) => {
  const at = e.target, isText = at.matches("textarea, select, input:not([type=radio], [type=hidden])");
  if (document.querySelector("dialog[open]") || e.altKey) return;
  if (e.key === "Escape" && isText) return at.blur();
  if (e.key === "Enter") {
    const isOwn = at.matches("button, a, summary") || (at.matches("textarea") && !e.ctrlKey && !e.metaKey) || at.closest("[role=search]");
    if (isOwn) return;
    e.preventDefault();
    if (!e.repeat) confirm();
    return;
  }
  if (isText || e.ctrlKey || e.metaKey || e.repeat) return;
  const wanted = e.key.toLowerCase();
  const found = [...document.querySelectorAll("[data-key]")].find((each) => each.dataset.key === wanted);
  if (found) { e.preventDefault(); press(found); }
});

loadSoon();
