// What pages do beyond being read: they stay current, show times in the viewer's zone, open
// confirmations in place, and can be used with the keyboard. Without this file everything still works.
"use strict";

const main = () => document.getElementById("main");

// --- times -------------------------------------------------------------------------------------

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const date = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });

function showTimes(root) {
  const today = new Date().toDateString();
  for (const time of root.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.valueOf())) continue;
    const text = (at.toDateString() === today ? clock : date).format(at);
    if (time.textContent !== text) time.textContent = text;
    time.title = `${exact.format(at)} (${time.dateTime})`;
  }
}

// --- what is live ------------------------------------------------------------------------------

let changes = null;
let fetching = false;
let missed = false;
let mark = "";

// A page that is being worked with does not change under the hand.
function isBusy() {
  const used = document.activeElement;
  return document.querySelector("dialog[open]") !== null
    || main().querySelector("input[type=checkbox][name=task]:checked") !== null
    || (main().contains(used) && used.matches("input:not([type=checkbox]), select, textarea"));
}

function stale(is) {
  document.getElementById("stale").hidden = !is;
}

async function refresh() {
  if (fetching || isBusy()) {
    missed = true;
    return;
  }
  fetching = true;
  missed = false;
  try {
    const answer = await fetch(location.href, { headers: { "x-tasker-live": mark } });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const content = page.getElementById("main");
    if (answer.ok && content !== null && !isBusy()) {
      showTimes(content);
      Idiomorph.morph(main(), content, { callbacks: { beforeAttributeUpdated: keepsOpen } });
      markRow();
      showSelected();
      if (!page.body.dataset.live) rest();
    }
    stale(!answer.ok);
  } catch {
    stale(true);
  } finally {
    fetching = false;
  }
  if (missed && !isBusy()) refresh();
}

// What the viewer opened or closed stays as it is.
function keepsOpen(name, element) {
  return !(name === "open" && element.matches("details"));
}

function follow() {
  const address = document.body.dataset.live;
  if (!address || document.hidden || changes !== null) return;
  let opened = false;
  changes = new EventSource(address);
  changes.addEventListener("changed", (event) => {
    mark = event.data;
    refresh();
  });
  changes.addEventListener("open", () => {
    stale(false);
    // What happened while the connection was away was not told.
    if (opened) refresh();
    opened = true;
  });
  changes.addEventListener("error", () => stale(true));
}

// Browsers hold few connections to a host: a tab that nobody sees gives its own back.
function unfollow() {
  if (changes !== null) changes.close();
  changes = null;
}

// What the page shows has ended: it changes no more.
function rest() {
  delete document.body.dataset.live;
  missed = false;
  unfollow();
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) return unfollow();
  follow();
  if (document.body.dataset.live) refresh();
});
addEventListener("pagehide", unfollow);
addEventListener("pageshow", follow);
document.addEventListener("focusout", () => {
  if (missed) setTimeout(refresh, 0);
});

// --- confirmations in place --------------------------------------------------------------------

// A link with data-dialog leads to a page with a form; it is shown here instead.
document.addEventListener("click", async (event) => {
  const link = event.target.closest("a[data-dialog]");
  if (link === null || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  try {
    const answer = await fetch(link.href);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (!answer.ok) throw new Error();
    const dialog = document.createElement("dialog");
    dialog.append(...page.getElementById("main").childNodes);
    dialog.setAttribute("aria-label", dialog.querySelector("h1")?.textContent ?? "Confirm");
    dialog.addEventListener("close", () => dialog.remove());
    document.body.append(dialog);
    dialog.showModal();
    dialog.querySelector("[data-cancel]")?.addEventListener("click", (cancel) => {
      cancel.preventDefault();
      dialog.close();
    });
  } catch {
    location.href = link.href;
  }
});

// A checkbox with data-all checks the others of its table, and what they amount to is counted.
document.addEventListener("change", (event) => {
  if (!event.target.matches("input[type=checkbox]")) return;
  if (event.target.matches("[data-all]")) {
    for (const box of main().querySelectorAll("input[name=task]")) box.checked = event.target.checked;
  }
  showSelected();
});

function showSelected() {
  const selected = main().querySelectorAll("input[name=task]:checked").length;
  for (const part of document.querySelectorAll("[data-selected]")) part.hidden = selected === 0;
  for (const count of document.querySelectorAll("[data-selected-count]")) count.textContent = selected;
}

// --- keyboard ----------------------------------------------------------------------------------

const places = { o: "/ui", t: "/ui/tasks", m: "/ui/templates", p: "/ui/processes", q: "/ui/queues", c: "/ui/channels" };
let row = -1;
let goes = false;

const rows = () => [...main().querySelectorAll("tr[data-row]")];

function markRow() {
  rows().forEach((one, number) => one.classList.toggle("current", number === row));
}

function moveRow(by) {
  const all = rows();
  if (all.length === 0) return;
  row = Math.max(0, Math.min(all.length - 1, row + by));
  markRow();
  all[row].scrollIntoView({ block: "nearest" });
}

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input:not([type=checkbox]), textarea, select, dialog");
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const went = goes;
  goes = false;
  const current = rows()[row];
  if (went && places[event.key]) location.href = places[event.key];
  else if (event.key === "g") goes = true;
  else if (event.key === "j") moveRow(1);
  else if (event.key === "k") moveRow(-1);
  else if (event.key === "x" && current) current.querySelector("input[type=checkbox]")?.click();
  else if (event.key === "Enter" && current && event.target === document.body) current.querySelector("a[href]")?.click();
  else if (event.key === "?") document.getElementById("keys").showModal();
  else if (event.key === "/") document.getElementById("search").focus();
  else return;
  event.preventDefault();
});

// --- light and dark ----------------------------------------------------------------------------

function stored(key, value) {
  // A browser may forbid to store anything.
  try {
    if (value !== undefined) localStorage.setItem(key, value);
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

const root = document.documentElement;
const theme = stored("theme");
if (theme) root.dataset.theme = theme;
const button = document.getElementById("theme");
button.hidden = false;
button.addEventListener("click", () => {
  const dark = root.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  root.dataset.theme = dark === "dark" ? "light" : "dark";
  stored("theme", root.dataset.theme);
});

showTimes(document);
showSelected();
follow();
