const csrf = document.querySelector("meta[name=csrf]").content;
const $ = (id) => document.getElementById(id);
const SETTLED = ["accepted", "duplicate", "rejected", "held"];
const TEXTS = ["target", "started", "ended", "how"];
const CHOICES = [["send again", "Send again"], ["delivered", "Was delivered"], ["drop", "Drop"]];
const ticked = new Set();
const opened = new Set();
let last = "";
let lastGroups = "";

// Only texts: nothing that the ledger holds is ever markup.
function make(tag, attributes = {}, ...children) {
  const one = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name in one && name !== "list") one[name] = value; else one.setAttribute(name, value);
  }
  one.append(...children.filter((child) => child !== null));
  return one;
}

// What could steer a line or reverse it is shown as its number.
const shown = (text) => text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (one) => `\\u{${one.codePointAt(0).toString(16)}}`);
const number = (count) => count.toLocaleString("en");
const minute = (time) => make("time", {dateTime: time}, time.slice(0, 16).replace("T", " "));
const inCalls = (count) => `${number(count)} ${count === 1 ? "call" : "calls"}`;
const idOf = (call) => JSON.stringify([call.account, call.key]);

async function ask(path, query = {}) {
  const answer = await fetch(`${path}?${new URLSearchParams(query)}`);
  if (!answer.ok) throw new Error(await wordsOf(answer));
  return answer.json();
}

async function wordsOf(answer) {
  const text = await answer.text();
  try { return JSON.parse(text).error; } catch { return text; }
}

function tell(text, wrong = false) {
  $("told").textContent = text;
  $("told").className = wrong ? "wrong" : "";
}

async function decide(choice, calls, note) {
  const body = JSON.stringify({
    choice, note,
    calls: calls.map(({vendor, origin, campaign, key, attempt}) => ({vendor, origin, campaign, key, attempt})),
  });
  const headers = {"Content-Type": "application/json", "X-CSRF-Token": csrf};
  const answer = await fetch("/api/decide", {method: "POST", headers, body});
  if (!answer.ok) {
    tell(await wordsOf(answer), true);
  } else {
    const {count} = await answer.json();
    calls.forEach((call) => ticked.delete(idOf(call)));
    const them = count === 1 ? "it" : "them";
    const then = choice === "send again" ? `The next run that reads ${them} sends ${them} once.` : "";
    tell(`${inCalls(count)}: ${choice}. ${then}`);
  }
  last = lastGroups = "";
  await update();
}

async function fill(box, group) {
  const calls = await ask("/api/group", {state: group.state, why: group.why, account: group.account});
  const boxes = [];
  const items = calls.map((call) => {
    const tick = make("input", {type: "checkbox", checked: ticked.has(idOf(call))});
    tick.addEventListener("change", () => tick.checked ? ticked.add(idOf(call)) : ticked.delete(idOf(call)));
    boxes.push([tick, call]);
    const decided = call.released ? ", to be sent again" : "";
    return make("li", {}, make("label", {}, tick, shown(call.key)), " ",
      make("small", {}, `attempt ${call.attempt}, `, minute(call.since), decided));
  });
  const all = make("input", {type: "checkbox"});
  all.addEventListener("change", () => boxes.forEach(([tick]) => {
    if (tick.checked !== all.checked) tick.click();
  }));
  const note = make("input", {maxLength: 500});
  const buttons = CHOICES.map(([choice, words]) => {
    const button = make("button", {type: "button"}, words);
    button.addEventListener("click", () => {
      const chosen = boxes.filter(([tick]) => tick.checked).map(([, call]) => call);
      if (chosen.length) decide(choice, chosen, note.value); else tell("Tick the calls first.", true);
    });
    return button;
  });
  const more = group.calls > calls.length ? make("p", {}, `The oldest ${calls.length} of ${number(group.calls)}.`) : null;
  box.replaceChildren(
    make("ul", {}, make("li", {}, make("label", {}, all, "all of these")), ...items),
    ...(more ? [more] : []),
    make("label", {className: "note"}, "Note, without a value of a call ", note),
    make("div", {}, ...buttons));
}

function groupOf(group) {
  const id = JSON.stringify([group.state, group.why, group.account]);
  const box = make("div");
  const details = make("details", {open: opened.has(id)},
    make("summary", {}, `${number(group.calls)} ${group.state}: ${shown(group.why || "no reason is known")} `,
      make("small", {}, `${shown(group.account)}, since `, minute(group.since))), box);
  details.addEventListener("toggle", () => {
    if (!details.open) { opened.delete(id); return; }
    opened.add(id);
    fill(box, group).catch((error) => tell(error.message, true));
  });
  return details;
}

// The columns of the outcomes are the legend of the bars.
const classOf = (name) => SETTLED.includes(name) ? name : name === "share" ? "share text" : TEXTS.includes(name) ? "text" : "";

function tableOf(caption, names, rows) {
  return make("div", {className: "wide", tabIndex: 0, role: "region", "aria-label": caption}, make("table", {},
    make("caption", {}, caption),
    make("thead", {}, make("tr", {}, ...names.map((name) => make("th", {scope: "col", className: classOf(name)}, name)))),
    make("tbody", {}, ...rows.map(([first, ...cells]) => make("tr", {},
      make("th", {scope: "row"}, first), ...cells.map((cell, n) => make("td", {className: SETTLED.includes(names[n + 1]) ? "" : classOf(names[n + 1])}, cell)))))));
}

function bar(counts) {
  const all = SETTLED.reduce((sum, name) => sum + (counts[name] ?? 0), 0);
  const parts = SETTLED.filter((name) => counts[name]).map((name) => {
    const part = make("span", {className: name});
    part.style.width = `${100 * counts[name] / all}%`;
    return part;
  });
  return make("div", {className: "bar", "aria-hidden": "true"}, ...parts);
}

// A run under way: how much of its input is read, where that is known; what became of the calls.
function livingOf(run) {
  const counted = Object.entries(run.counts).map(([name, count]) => `${name.replaceAll("_", " ")} ${number(count)}`);
  const title = `Run ${run.id} of ${shown(run.target)}`;
  return make("div", {className: "call"},
    make("h3", {}, title),
    make("p", {}, make("small", {}, "since ", minute(run.started), (run.node ? ` on ${shown(run.node)}` : ""))),
    run.percent === null ? null : make("progress", {max: 100, value: run.percent, "aria-label": `${title}: input read`}),
    bar(run.counts),
    make("p", {}, shown(run.news.join(", "))),
    counted.length ? make("p", {}, counted.join(", ")) : null);
}

function show(seen) {
  const sum = (name) => seen.accounts.flatMap((one) => one.days).reduce((n, day) => n + (day.counts[name] ?? 0), 0);
  const waits = seen.groups.reduce((n, group) => n + group.calls, 0);
  const {living} = seen;
  $("living").hidden = !living.length;
  $("under-way").replaceChildren(...living.map(livingOf));
  $("sentence").textContent = `${inCalls(sum("accepted") + sum("duplicate"))} delivered in the last 30 days; `
    + (waits ? `${number(waits)} ${waits === 1 ? "waits" : "wait"} for you.` : "nothing waits for you.")
    + (living.length ? ` ${living.length === 1 ? "A run is" : `${living.length} runs are`} under way.` : "");
  $("ledger").textContent = shown(seen.ledger);
  const groups = JSON.stringify(seen.groups);
  // A note being written and the place of the keyboard stay as long as nothing moved there.
  if (groups !== lastGroups) $("waits").replaceChildren(...(seen.groups.length ? seen.groups.map(groupOf) : [make("p", {}, "Nothing.")]));
  lastGroups = groups;
  $("accounts").replaceChildren(...seen.accounts.map(({account, days}) => tableOf(shown(account), ["day", "share", ...SETTLED],
    days.map(({day, counts}) => [day, bar(counts), ...SETTLED.map((name) => number(counts[name] ?? 0))]))));
  $("runs").replaceChildren(tableOf("The newest first; times are UTC", ["run", "target", "started", "ended", "how", "a second", ...SETTLED],
    seen.runs.map((run) => [String(run.id), shown(run.target), minute(run.started), run.ended ? minute(run.ended) : "under way", run.ended ? run.how ?? "" : "",
      run.per_second ?? "", ...SETTLED.map((name) => number(run.counts[name] ?? 0))])));
  return living.length > 0;
}

async function update() {
  let living = false;
  try {
    const seen = await ask("/api/overview");
    living = seen.living.length > 0;
    const text = JSON.stringify(seen);
    if (text !== last) { last = text; show(seen); }
  } catch (error) {
    $("sentence").textContent = `The ledger can't be read now: ${error.message}`;
    last = "";
  }
  return living;
}

$("find").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    const calls = await ask("/api/call", {key: $("key").value});
    $("found").replaceChildren(...(calls.length ? calls.map(callOf) : [make("p", {}, "The ledger knows no such call.")]));
  } catch (error) { tell(error.message, true); }
});

function callOf(call) {
  const box = make("pre", {hidden: true});
  const button = make("button", {type: "button"}, "Show the original, masked");
  button.addEventListener("click", async () => {
    try {
      box.textContent = JSON.stringify(await ask("/api/original", {key: call.key, account: call.account}), null, 1);
      box.hidden = false;
    } catch (error) { tell(error.message, true); }
  });
  return make("div", {className: "call"},
    make("h3", {}, shown(call.key)),
    make("p", {}, `${shown(call.account)}: ${call.state}${call.released ? ", to be sent again" : ""}`
      + (call.reference ? `, the vendor's reference ${shown(call.reference)}` : "")),
    make("ol", {}, ...call.events.map(([time, what]) => make("li", {}, make("small", {}, time ?? ""), ` ${shown(what)}`))),
    call.file ? button : null, box);
}

async function forever() {
  const living = await update();
  setTimeout(forever, living ? 1000 : 5000);
}
forever();
