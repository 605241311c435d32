"use strict";

// Shows /_summary and asks for it again every two seconds, while somebody looks.

const EVERY = 2000;
const number = new Intl.NumberFormat("en");
const moment = new Intl.DateTimeFormat("en-GB", {
  dateStyle: "medium", timeStyle: "medium", timeZone: "UTC",
});
let shown = "";

// An element with text, or with elements in it. Never HTML: keys come from outside.
function element(tag, content = "", attributes = {}) {
  const made = Object.assign(document.createElement(tag), attributes);
  made.append(...[content].flat().map((part) => part ?? ""));
  return made;
}

// A path may break after each slash.
function breakable(path) {
  return path.split(/(?<=\/)/).flatMap((part) => [part, document.createElement("wbr")]);
}

function duration(seconds) {
  return seconds < 0.001 ? "< 1 ms" : `${number.format(Math.round(seconds * 1000))} ms`;
}

function row(head, middle, last, alarm = false) {
  return element("tr", [
    element("th", [...breakable(head[0]), element("small", head[1])], { scope: "row" }),
    element("td", [middle[0], element("small", middle[1])], { className: alarm ? "alarm" : "" }),
    element("td", [last[0], element("small", last[1], { className: "alarm" })], { className: "number" }),
  ]);
}

function rows(body, made, none) {
  const nothing = element("tr", element("td", none, { colSpan: 3, className: "none" }));
  body.replaceChildren(...(made.length ? made : [nothing]));
}

function bars(table, counts) {
  const words = Object.entries(counts).sort((one, other) => other[1] - one[1]);
  const most = Math.max(...Object.values(counts));
  table.hidden = table.dataset.chart === "faults" && words.length === 0;
  table.tBodies[0].replaceChildren(...words.map(([word, count]) => {
    const made = element("tr", [element("th", word, { scope: "row" }), element("td", number.format(count))]);
    made.style.setProperty("--share", `${(100 * count) / most}%`);
    return made;
  }));
  if (!words.length) table.tBodies[0].append(element("tr", element("td", "none yet", { className: "none" })));
}

function total(vendor) {
  if (vendor.serves) return `serves ${number.format(vendor.total)} calls`;
  const again = vendor.sent_again ? `, ${number.format(vendor.sent_again)} sent again` : ", none twice";
  return `received ${number.format(vendor.total)} calls${vendor.total ? again : ""}`;
}

// A vendor's card, made once and kept: only its rows are replaced.
function card(vendor) {
  const id = `vendor-${vendor.name}`;
  const known = document.getElementById(id);
  if (known) return known.closest("section");
  const made = document.getElementById("vendor").content.cloneNode(true).firstElementChild;
  Object.assign(made.querySelector("h2"), { id, textContent: vendor.title });
  made.setAttribute("aria-labelledby", id);
  document.getElementById("vendors").append(made);
  return made;
}

function fill(vendor) {
  const shown = card(vendor);
  shown.querySelector(".total").textContent = total(vendor);
  for (const table of shown.querySelectorAll(".bars")) bars(table, vendor[table.dataset.chart]);
  const counted = Object.values(vendor.statuses).reduce((sum, count) => sum + count, 0);
  const some = vendor.serves && counted < vendor.total;
  shown.querySelector("[data-chart=statuses] caption").textContent =
    some ? `Newest ${number.format(counted)} calls by status` : "Calls by status";
  const calls = vendor.newest.map((call) => row(
    [call.key, call.when],
    [call.caller, call.status],
    [call.seconds === null ? "–" : number.format(call.seconds), call.times > 1 ? `${call.times} times` : ""],
  ));
  rows(shown.querySelector(".rows tbody"), calls, "No calls yet.");
}

function requests(entries) {
  return entries.map((entry) => row(
    [`${entry.method} ${entry.path}`, entry.key ? `call ${entry.key}` : entry.vendor],
    [entry.status ?? "no answer", entry.fault ?? ""],
    [duration(entry.duration), ""],
    !(entry.status < 400),
  ));
}

function show(summary) {
  document.getElementById("now").textContent = `${moment.format(summary.now * 1000)} UTC`;
  const answers = summary.vendors.flatMap((vendor) => Object.values(vendor.answers));
  document.getElementById("count").textContent = number.format(answers.reduce((a, b) => a + b, 0));
  summary.vendors.forEach(fill);
  rows(document.getElementById("requests"), requests(summary.requests), "No requests yet.");
}

function say(words, lost) {
  const state = document.getElementById("state");
  if (state.textContent !== words) state.textContent = words;
  state.classList.toggle("lost", lost);
}

async function update() {
  try {
    const text = document.hidden ? shown : await (await fetch("/_summary")).text();
    if (text !== shown) show(JSON.parse(text));
    shown = text;
    say("updates itself", false);
  } catch {
    say("the sandbox does not answer", true);
  }
  setTimeout(update, EVERY);
}

update();
