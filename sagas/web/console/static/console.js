// Times in the reader's zone, parts of pages that stay current, and keys. Pages work without it.
"use strict";

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const exact = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3, hourCycle: "h23" });
const day = new Intl.DateTimeFormat("sv-SE", { year: "numeric", month: "2-digit", day: "2-digit" });

function localText(moment, isExact) {
  const time = (isExact ? exact : clock).format(moment);
  const date = day.format(moment);
  return date === day.format(new Date()) ? time : `${date} ${time}`;
}

function span(seconds) {
  for (const [size, unit] of [[86400, "d"], [3600, "h"], [60, "min"]]) {
    if (seconds >= size) return `${Math.floor(seconds / size)} ${unit}`;
  }
  return `${Math.floor(seconds)} s`;
}

function agoText(moment) {
  const seconds = (Date.now() - moment) / 1000;
  if (Math.abs(seconds) < 1) return "now";
  return seconds > 0 ? `${span(seconds)} ago` : `in ${span(-seconds)}`;
}

function showTimes(root) {
  for (const element of root.querySelectorAll("time[datetime]")) {
    const moment = new Date(element.dateTime);
    if (Number.isNaN(moment.getTime())) continue;
    const text = localText(moment, "exact" in element.dataset);
    if (element.textContent !== text) element.textContent = text;
    if (!("ago" in element.dataset)) continue;
    let ago = element.nextElementSibling;
    if (!ago || !ago.classList.contains("ago")) {
      ago = document.createElement("span");
      ago.className = "ago";
      element.after(" ", ago);
    }
    const words = agoText(moment);
    if (ago.textContent !== words) ago.textContent = words;
  }
}

function replacePart(part, html) {
  const open = new Set([...part.querySelectorAll("details[open]")].map((one) => one.id));
  const focused = part.contains(document.activeElement) ? document.activeElement.id : "";
  const scrolled = [...part.querySelectorAll(".picture")].map((one) => one.scrollLeft);
  part.innerHTML = html; // made by our own templates, which escape; the policy of the page allows no script in it
  for (const one of part.querySelectorAll("details")) if (open.has(one.id)) one.open = true;
  part.querySelectorAll(".picture").forEach((one, index) => { one.scrollLeft = scrolled[index] || 0; });
  showTimes(part);
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
}

function follow(part) {
  const pulse = document.getElementById("pulse");
  const away = document.getElementById("away");
  const say = (text) => { if (pulse && pulse.textContent !== text) pulse.textContent = text; };
  const source = new EventSource(part.dataset.live);
  source.addEventListener("open", () => say("live"));
  source.addEventListener("part", (event) => {
    away.hidden = true;
    say("live");
    replacePart(part, event.data);
  });
  source.addEventListener("away", (event) => {
    away.textContent = event.data;
    away.hidden = false;
    say("not current: what is shown was so before");
  });
  source.addEventListener("error", () => {
    say("the console does not answer: trying again");
    if (source.readyState === EventSource.CLOSED) setTimeout(() => follow(part), 3000);
  });
  window.addEventListener("pagehide", () => source.close(), { once: true });
}

function onKey(event) {
  const typing = event.target.closest("input, textarea, select");
  if (event.key === "Escape" && typing) typing.blur();
  if (typing || event.ctrlKey || event.metaKey || event.altKey || event.key !== "/") return;
  event.preventDefault();
  const field = document.querySelector("[data-key='/']");
  if (field) field.focus(); else window.location.assign("/sagas");
}

showTimes(document);
setInterval(() => showTimes(document), 1000);
const part = document.querySelector("[data-live]");
if (part) follow(part);
document.addEventListener("keydown", onKey);
window.addEventListener("pageshow", (event) => { if (event.persisted) window.location.reload(); });
