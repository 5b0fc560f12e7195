// Everything here is comfort: each page works without it.

const on = (event, selector, act) =>
  document.addEventListener(event, (e) => {
    const found = e.target.closest?.(selector);
    if (found) act(found, e);
  });

// Search
document.addEventListener("keydown", (e) => {
  const typing = e.target.closest("input, textarea, select, [contenteditable]");
  if (e.key === "/" && !typing && !e.ctrlKey && !e.metaKey) {
    const search = document.querySelector("[data-search]");
    if (search) { e.preventDefault(); search.focus(); search.select(); }
  }
  if (e.key === "Escape") document.querySelectorAll("details.menu[open]").forEach((d) => { d.open = false; });
});
document.addEventListener("click", (e) => {
  document.querySelectorAll("details.menu[open]").forEach((d) => { if (!d.contains(e.target)) d.open = false; });
});

// Theme
on("click", "[data-theme-set]", (button) => {
  const theme = button.dataset.themeSet;
  if (theme === "auto") { localStorage.removeItem("theme"); delete document.documentElement.dataset.theme; }
  else { localStorage.setItem("theme", theme); document.documentElement.dataset.theme = theme; }
});

// Messages
on("click", "[data-dismiss]", (button) => button.parentElement.remove());
const say = (text, kind = "error") => {
  const box = document.getElementById("messages");
  // What polls may fail every second; the same words stand there once.
  if (!box || [...box.children].some((line) => line.firstChild?.textContent === text)) return;
  const line = document.createElement("p");
  line.className = `toast ${kind}`;
  line.textContent = text;
  const close = Object.assign(document.createElement("button"), { type: "button", className: "plain", textContent: "×" });
  close.dataset.dismiss = "";
  close.setAttribute("aria-label", "Dismiss");
  line.append(close);
  box.append(line);
};
document.addEventListener("htmx:responseError", (e) => {
  const { xhr, elt } = e.detail;
  const isLine = (xhr.getResponseHeader("Content-Type") ?? "").startsWith("text/plain");
  const kept = xhr.status >= 500 ? " What you typed is still here." : "";
  say(isLine ? xhr.responseText + kept : `That did not work (${xhr.status}). What you typed is still here; try again.`);
  // What is gone or closed to us stays so: no more asking.
  if ([403, 404].includes(xhr.status) && elt.hasAttribute("hx-get")) { elt.removeAttribute("hx-trigger"); elt.removeAttribute("hx-get"); htmx.process(elt); }
});
document.addEventListener("htmx:sendError", () => say("The server cannot be reached. What you typed is still here; try again in a moment."));
document.addEventListener("htmx:timeout", () => say("The server takes too long. What you typed is still here; try again in a moment."));

// A list that follows live rests while nobody looks at it
document.addEventListener("htmx:beforeRequest", (e) => {
  if (document.hidden && e.target.matches?.("[data-live]")) e.preventDefault();
});

// Copy; where the browser forbids it (no https), the text is selected instead
on("click", "[data-copy]", async (button) => {
  const source = document.querySelector(button.dataset.copy);
  try {
    await navigator.clipboard.writeText(source.value ?? source.textContent.trim());
  } catch {
    if (source.select) source.select(); else getSelection().selectAllChildren(source);
    say("Your browser does not allow copying here. The text is selected: press Ctrl+C.", "warning");
    return;
  }
  const before = button.textContent;
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = before; }, 1500);
});

// Tabs of code: one of them is in the order of Tab, arrow keys move between them
const choose = (button) => {
  const group = button.closest("[data-tabs]");
  group.querySelectorAll("[data-tab]").forEach((b) => { b.setAttribute("aria-selected", String(b === button)); b.tabIndex = b === button ? 0 : -1; });
  group.querySelectorAll("[data-panel]").forEach((p) => { p.hidden = p.dataset.panel !== button.dataset.tab; });
};
document.querySelectorAll("[data-tabs]").forEach((group) => { group.querySelector("[role=tablist]").hidden = false; choose(group.querySelector("[data-tab]")); });
on("click", "[data-tab]", choose);
on("keydown", "[data-tab]", (button, e) => {
  const all = [...button.parentElement.children];
  const to = { ArrowRight: all.indexOf(button) + 1, ArrowLeft: all.indexOf(button) - 1, Home: 0, End: all.length - 1 }[e.key];
  if (to === undefined) return;
  e.preventDefault();
  const next = all[(to + all.length) % all.length];
  choose(next);
  next.focus();
});

// Dialogs, and confirmation by a typed name
on("click", "[data-dialog]", (button) => document.querySelector(button.dataset.dialog).showModal());
on("click", "[data-close]", (button) => button.closest("dialog").close());
document.querySelectorAll("[data-confirmed]").forEach((b) => { b.disabled = true; });
on("input", "[data-confirm-name]", (input) => {
  const button = input.form.querySelector("[data-confirmed]");
  button.disabled = input.value.trim() !== input.dataset.confirmName;
});

// Logs stay at their end unless one has scrolled up
const follow = (root) => root.querySelectorAll?.("[data-follow]").forEach((log) => { log.scrollTop = log.scrollHeight; });
follow(document);
document.addEventListener("htmx:afterSettle", (e) => follow(e.target.parentElement ?? document));

// The summary of what is wrong with a form gets the focus
document.querySelector("[data-focus]")?.focus();

// Forms that were changed ask before they are left
let changed = false;
on("input", "form[data-guard]", () => { changed = true; });
on("submit", "form", () => { changed = false; });
window.addEventListener("beforeunload", (e) => { if (changed) e.preventDefault(); });

// Uploads with progress
on("submit", "form[data-upload]", (form, e) => {
  const progress = form.querySelector("[data-upload-progress]");
  if (!progress || ![...form.querySelectorAll("input[type=file]")].some((i) => i.files.length)) return;
  e.preventDefault();
  const request = new XMLHttpRequest();
  const buttons = form.querySelectorAll("button");
  progress.hidden = false;
  buttons.forEach((b) => { b.disabled = true; });
  request.upload.addEventListener("progress", (p) => { if (p.lengthComputable) progress.value = (100 * p.loaded) / p.total; });
  request.addEventListener("load", () => {
    if (request.responseURL && request.responseURL !== location.href && request.status < 400) { location.href = request.responseURL; return; }
    const answer = new DOMParser().parseFromString(request.responseText, "text/html").getElementById("content");
    buttons.forEach((b) => { b.disabled = false; });
    progress.hidden = true;
    if (!answer) { say(`The upload was refused (${request.status}). Your files are still chosen.`); return; }
    document.getElementById("content").replaceChildren(...answer.childNodes);
    document.querySelector("[data-focus]")?.focus();
  });
  request.addEventListener("error", () => {
    buttons.forEach((b) => { b.disabled = false; });
    progress.hidden = true;
    say("The upload broke off. Your files are still chosen; try again.");
  });
  request.open("POST", form.action || location.href);
  request.send(new FormData(form));
});
