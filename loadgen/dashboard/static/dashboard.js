// The page: takes a message a second from the run, and shows it when somebody looks.
//
// Whatever comes from the run or its target becomes text, never markup.

import {Chart, clock, make, set, three} from "/chart.js";

const page = document.documentElement.dataset, $ = id => document.getElementById(id);
const PHASES = ["setup", "running", "draining", "verifying", "reporting", "done"];
const ENDS = ["done", "failed", "unknown", "dropped"];
const LIMITS = ["rate", "concurrency", "max-in-flight"];
const KEPT_EVENTS = 200;
const SAID_MS = 15000;
const LONG = 9;  // characters that a tile has room for in its usual size
const BAD = /lost|expired|died|threshold|breaker|failed|worker left early/i;
const MARKED = /paused|continued|changed|lost|expired|joined|resumed/;

const charts = [
  new Chart($("throughput"), "Throughput", "per second", [
    {index: 0, name: "items", role: "a", weight: 2.6}, {index: 2, name: "calls", role: "c", dash: [5, 6]}]),
  new Chart($("latency"), "Call times", "ms", [
    {index: 4, name: "p50", role: "p50"}, {index: 5, name: "p95", role: "p95", dash: [8, 3]},
    {index: 6, name: "p99", role: "p99", dash: [2, 2], weight: 1.6}]),
  new Chart($("errors"), "Failures", "per second", [
    {index: 1, name: "items", role: "wrong", weight: 2.6}, {index: 3, name: "calls", role: "d", dash: [5, 6]}], 1),
];

const others = new BroadcastChannel("loadgen");
let state = null, source = null, idle = false, waited = 0, drawn = false;

// the stream

/** Who does not look is told now and then, and in the end. */
function connect() {
  idle = document.hidden;
  source = new EventSource(idle ? "/events?idle" : "/events");
  source.onmessage = event => {
    const message = JSON.parse(event.data);
    waited = 0;
    if (idle || message.end) others.postMessage(message);
    take(message);
  };
  source.onerror = () => { source.close(); if (!state?.end) offline(); };
}

/** Of all tabs in the background one has a stream and tells the others: browsers open only six to one address. */
others.onmessage = ({data}) => {
  if (!document.hidden || data.server !== state?.server || !$("offline").hidden) return;
  source?.close();
  source = null;
  take(data);
};

document.addEventListener("visibilitychange", () => {
  request();
  if (!state || state.end || !$("offline").hidden || (source && idle === document.hidden)) return;
  source?.close();
  connect();
});

/** The run's process is gone, or cannot be reached: look for it now and then, but not in the background. */
function offline() {
  const run = state?.about.run;
  document.title = `no connection · ${run || "loadgen"}`;
  $("offline").hidden = false;
  set($("offline"), "No connection to the run: it has ended, was killed, or cannot be reached. This is how it stood. Trying again."
    + (run ? ` What became of it: loadgen report ${run}. To go on with it: loadgen resume ${run}.` : ""));
  if (state) renderControls(state.now);
  waited = Math.min((waited || 1) * 2, 30);
  setTimeout(async () => {
    await new Promise(seen => {
      if (!document.hidden) return seen();
      document.addEventListener("visibilitychange", () => seen(), {once: true});
    });
    try {
      const answer = await fetch("/");
      if (answer.ok && !(await answer.text()).includes(page.csrf)) return location.reload();  // another run
    } catch { /* not there */ }
    connect();
  }, waited * 1000);
}

function take(message) {
  $("offline").hidden = true;
  if (state && message.server !== state.server) return location.reload();
  if (message.about) state = {server: message.server, about: message.about, points: [], events: [], known: 0};
  if (!state) return;
  state.now = message.now; state.begin = message.begin; state.width = message.width; state.end = message.end ?? null;
  state.workers = (message.workers ?? []).map(([name, state, slots, in_flight, items, rate, calls, cpu]) =>
    ({name, state, slots, in_flight, items, rate, calls, cpu}));
  state.more = message.more_workers ?? 0;
  state.thresholds = message.thresholds ?? [];
  if (message.points.length) {
    const first = message.points[0][0];
    while (state.points.length && state.points[state.points.length - 1][0] >= first) state.points.pop();
    state.points.push(...message.points);
  }
  for (const event of message.events ?? []) if (event[0] > state.known) { state.events.push(event); state.known = event[0]; }
  state.events.splice(0, state.events.length - KEPT_EVENTS);
  if (state.end) source?.close();
  document.title = headline();
  request();
}

/** Draw once at the next frame; not at all while nobody looks. */
function request() {
  if (drawn || document.hidden || !state) return;
  drawn = true;
  requestAnimationFrame(() => { drawn = false; render(); });
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", request);
new ResizeObserver(request).observe(document.body);

// what is shown

const settled = items => items.planned - items.pending;
const number = value => value.toLocaleString("en");

function percent(part, whole) {
  if (!whole || !part) return "0 %";
  return part >= whole ? "100 %" : `${Math.min(Math.max(Math.round(100 * part / whole), 1), 99)} %`;
}

function lasting(seconds) {
  const whole = Math.round(seconds), minutes = Math.floor(whole / 60), hours = Math.floor(whole / 3600);
  if (hours) return `${hours} h ${minutes % 60} min`;
  return minutes ? `${minutes} min ${whole % 60} s` : `${whole} s`;
}

function headline() {
  const {now, end, about} = state;
  if (end) return `${end.ok ? "OK" : "NOT OK"} · ${about.run}`;
  return `${percent(settled(now.items), now.items.planned)} ${now.phase} · ${about.run || "loadgen"}`;
}

function render() {
  const {now, about} = state;
  set($("title"), about.title || about.scenario || "loadgen");
  set($("about"), about.run ? `${about.run} · ${about.target}` : "");
  set($("resume"), `loadgen resume ${about.run}`);
  renderPhases(now);
  renderVerdict(now);
  renderTiles(now);
  renderControls(now);
  charts[1].rename(about.settings.pace ? "Response times" : "Call times");
  for (const chart of charts) { chart.feed(state.points, state.width, marks()); chart.draw(); }
  $("thinned").hidden = state.width === 1;
  set($("thinned"), `Each point stands for ${state.width} seconds: lines are the means of what its seconds had, pale areas reach from the lowest to the highest.`);
  renderThresholds();
  rows($("workers"), state.workers, worker => [
    worker.name, [worker.state, worker.state === "lost" ? "bad" : worker.state === "here" ? "good" : "soft"], number(worker.slots),
    number(worker.in_flight), number(worker.items), three(worker.rate), number(worker.calls), `${Math.round(100 * worker.cpu)} %`]);
  set($("more-workers"), state.more ? `and ${number(state.more)} more` : "");
  renderEvents();
  renderOptions(about);
  if (state.end) renderEnd();
}

function renderPhases(now) {
  const here = now.phase === "paused" ? "running" : now.phase === "starting" ? "setup" : now.phase, at = PHASES.indexOf(here);
  while ($("phases").children.length < PHASES.length) make("li", PHASES[$("phases").children.length], $("phases"));
  [...$("phases").children].forEach((item, n) => {
    item.className = n < at ? "past" : now.phase === "paused" && n === at ? "held" : "";
    if (n === at) item.setAttribute("aria-current", "step"); else item.removeAttribute("aria-current");
    set(item, n === at ? now.phase : PHASES[n]);
  });
}

function troubles(now) {
  const found = ENDS.slice(1).filter(end => now.items[end]).map(end => `${number(now.items[end])} ${end}`);
  const lost = state.workers.filter(worker => worker.state === "lost").length;
  if (lost) found.push(lost === 1 ? "1 worker lost" : `${lost} workers lost`);
  for (const each of state.thresholds) if (each.holds === false) found.push(`${each.text} is crossed`);
  return found;
}

function renderVerdict(now) {
  const bad = troubles(now), done = settled(now.items), {planned} = now.items;
  const where = now.steps > 1 && now.step ? ` in ${now.step} (step ${now.number} of ${now.steps})` : "";
  const states = {
    starting: "Starting", setup: "Setting up", running: `Running${where}`, paused: `Paused ${now.paused}`, draining: "Draining",
    verifying: "Verifying what the target holds", reporting: "Writing the report", done: "Done"};
  const parts = [states[now.phase]];
  if (planned) parts.push(`${number(done)} of ${number(planned)} items (${percent(done, planned)})`);
  set($("word"), parts.join(": ") + (bad.length ? `; ${bad.join(", ")}` : ""));
  $("verdict").className = `verdict ${bad.length ? "not" : "good"}`;
  ENDS.forEach((end, n) => { $("progress").children[n].style.width = planned ? `${100 * now.items[end] / planned}%` : "0"; });
  $("progress").setAttribute("aria-valuenow", planned ? Math.floor(100 * done / planned) : 0);
  set($("event"), now.event);
}

function renderTiles(now) {
  const items = now.items, tiles = [
    ["done", number(items.done)],
    ...["failed", "unknown", "dropped"].map(end => [end, number(items[end]), items[end] ? "bad" : "none"]),
    ["in flight", number(now.in_flight)], ["items/s now", three(now.rate_now)], ["items/s mean", three(now.rate_mean)],
    ["p50", now.p50_ms === null ? "–" : `${three(now.p50_ms)} ms`], ["p95", now.p95_ms === null ? "–" : `${three(now.p95_ms)} ms`],
    ["workers", number(now.workers)], ["elapsed", lasting(now.elapsed_s)],
    ["time left", items.pending && now.eta_s !== null ? lasting(now.eta_s) : "–"]];
  const list = $("tiles");
  while (list.children.length < tiles.length) { const tile = make("div", "", list); make("dt", "", tile); make("dd", "", tile); }
  tiles.forEach(([name, value, kind], n) => {
    const tile = list.children[n];
    tile.className = kind ?? ""; tile.id = `tile-${name.replace(/[^a-z0-9]+/g, "-")}`;
    set(tile.children[0], name); set(tile.children[1], value);
    tile.children[1].className = value.length > LONG ? "long" : "";
  });
}

function marks() {
  return state.events.filter(event => MARKED.test(event[2])).slice(-40)
    .map(([, us, kind]) => ({at: us / 1e6 - state.begin, bad: BAD.test(kind)}))
    .filter(mark => mark.at >= 0);
}

function renderThresholds() {
  $("threshold-part").hidden = !state.thresholds.length;
  rows($("thresholds"), state.thresholds, each => [
    each.text, each.holds === null ? ["not measured yet", "soft"] : each.holds ? ["holds", "good"] : ["crossed", "bad"],
    each.value === null ? "–" : `${three(each.value)} ${each.unit}`]);
}

function renderEvents() {
  const list = $("events");
  if (list.dataset.known === String(state.known)) return;
  list.dataset.known = state.known;
  list.replaceChildren();
  for (const [, us, kind, text] of state.events.toReversed()) {
    const item = make("li", "", list), at = new Date(us / 1000);
    const time = make("time", at.toLocaleTimeString("en-GB"), item);
    time.dateTime = at.toISOString();
    make("span", kind, item).className = BAD.test(kind) ? "bad" : "";
    make("span", text, item);
  }
}

function renderOptions(about) {
  const list = $("options");
  if (list.dataset.run === about.run) return;
  list.dataset.run = about.run;
  const word = value => typeof value === "string" ? value : JSON.stringify(value);
  const settings = Object.entries(about.settings).filter(([, value]) => value !== null && value !== "" && String(value) !== "");
  pairs(list, [...Object.entries(about.options), ...settings].map(([name, value]) => [name, word(value)]));
}

function renderEnd() {
  const {end, about} = state, {summary} = end;
  set($("word"), end.ok ? `OK: ${number(state.now.items.done)} of ${number(state.now.items.planned)} items done` : `NOT OK: ${end.reasons[0] ?? ""}`);
  $("verdict").className = `verdict ${end.ok ? "good" : "not"}`;
  $("reasons").replaceChildren();
  for (const reason of end.reasons.slice(1)) make("li", reason, $("reasons"));
  if (summary && summary.generator.verdict !== null && summary.generator.verdict !== "ok")
    make("li", `Times are ${summary.generator.verdict}. ${summary.generator.reasons.join("; ")}`, $("reasons"));
  set($("event"), "");
  pairs($("next"), [["Exit code", String(end.exit_code)], ...(end.resumable ? [["Do what is left", `loadgen resume ${about.run}`, "code"]] : []),
    ["Report", `${about.directory}/report.html`, "code"], ["In a terminal", `loadgen report ${about.run}`, "code"]]);
  $("controls").hidden = true;
  $("summary").hidden = !summary;
  if (!summary) return;
  const times = stats => [stats.p50, stats.p95, stats.p99, stats.max].map(three);
  const wrong = count => [number(count), count ? "bad" : ""];
  set($("step-times"), `Steps: ${summary.item_time}, milliseconds`);
  set($("call-times"), `Calls: ${summary.call_time}, milliseconds`);
  rows($("step-rows"), summary.steps, step => [
    step.name, number(step.items.planned), number(step.items.done), ...ENDS.slice(1).map(end => wrong(step.items[end])),
    three(step.rate_per_s), ...times(step.times)]);
  rows($("call-rows"), summary.calls, call => [
    call.name, number(call.count), wrong(call.errors), three(call.rate_per_s), ...times(call.times)]);
  $("error-part").hidden = !summary.errors.length;
  rows($("error-rows"), summary.errors, error => [number(error.count), [error.sample || error.fingerprint, "words"]]);
  state.thresholds = summary.thresholds.map(each => ({text: each.expr, value: each.value, unit: each.unit, holds: each.ok}));
  renderThresholds();
}

/** A table's rows: texts, or [text, class]. */
function rows(body, things, cells) {
  while (body.children.length > things.length) body.lastChild.remove();
  things.forEach((thing, n) => {
    const row = body.children[n] ?? make("tr", "", body);
    row.className = thing.state ?? "";
    cells(thing).forEach((cell, k) => {
      const [text, kind] = Array.isArray(cell) ? cell : [cell, ""];
      const box = row.children[k] ?? make("td", "", row);
      set(box, text);
      if (box.className !== kind) box.className = kind;
    });
  });
}

function pairs(list, entries) {
  list.replaceChildren();
  for (const [name, value, tag] of entries) { make("dt", name, list); make(tag ?? "span", value, make("dd", "", list)); }
}

// orders

function renderControls(now) {
  const over = !["setup", "running", "paused", "draining"].includes(now.phase) || now.stopping || !$("offline").hidden;
  $("pause").disabled = over || Boolean(now.paused);
  $("continue").disabled = over || !now.paused;
  $("stop").disabled = over;
  for (const name of LIMITS) {
    const input = $(name), value = now.limits[name] ?? "none";
    input.disabled = over;
    if (!input.classList.contains("dirty") && document.activeElement !== input) input.value = value === "none" ? "" : value;
  }
  $("limits").querySelector("button").disabled = over;
}

async function post(path, body) {
  return fetch(path, {method: "POST", headers: {"X-Loadgen-CSRF": page.csrf, "Content-Type": "application/json"}, body});
}

let orders = 0, said = 0;

/** What comes of an order is told unless another was given meanwhile: the run takes a while to answer. */
async function order(request, done) {
  const mine = ++orders;
  say("…");
  try {
    const answer = await (await post("/steer", JSON.stringify(request))).json();
    if (mine !== orders) return !answer.error;
    if (answer.error) return say(answer.error, true);
    const late = answer.late ? ` (not yet on ${answer.late} of ${answer.workers} workers)` : "";
    say(done + late);
    return true;
  } catch { say("the run did not answer", true); }
}

/** What went wrong stands there until the next order; what was done, for a while. */
function say(text, wrong) {
  $("said").className = wrong ? "wrong" : "";
  set($("said"), text);
  clearTimeout(said);
  if (!wrong) said = setTimeout(() => set($("said"), ""), SAID_MS);
}

$("pause").onclick = () => order({type: "pause"}, "Paused: what is in flight settles, nothing more is started.");
$("continue").onclick = () => order({type: "continue"}, "Going on.");
$("stop").onclick = () => { $("sure").returnValue = ""; $("sure").showModal(); };
$("sure").onclose = () => { if ($("sure").returnValue === "stop") order({type: "stop"}, "Stopping: what is in flight settles."); };
for (const name of LIMITS) $(name).oninput = $(name).onchange = () => $(name).classList.add("dirty");
$("limits").onsubmit = async event => {
  event.preventDefault();
  const changed = LIMITS.filter(name => $(name).classList.contains("dirty"));
  if (!changed.length) return say("Nothing was changed.");
  const settings = changed.map(name => {
    const value = $(name).value.trim();
    return `${name}=${value === "" ? "none" : name === "rate" && /^[\d.]+$/.test(value) ? value + "/s" : value}`;
  });
  if (await order({type: "set", settings}, `Set: ${settings.join(", ")}.`)) for (const name of changed) $(name).classList.remove("dirty");
};

// the token, where one is needed

async function logIn(token) {
  const answer = await post("/login", token);
  if (answer.ok) return begin();
  $("login").hidden = false;
  set($("login-error"), (await answer.text()).trim());
}
$("login").onsubmit = event => { event.preventDefault(); logIn($("token").value.trim()); };

function begin() {
  $("login").hidden = true; $("main").hidden = false;
  connect();
}

const given = /^#token=(.+)$/.exec(location.hash);
if (given) history.replaceState(null, "", "/");
if (page.known === "yes") begin();
else if (given) logIn(decodeURIComponent(given[1]));
else { $("login").hidden = false; $("token").focus(); }
