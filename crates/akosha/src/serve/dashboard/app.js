"use strict";
// The dashboard: a client of the REST API like any other. Memories, names and reasons come from
// machines that nobody here vouches for, so everything is put into the page as text nodes.

const REFRESH_MS = 5000;
const SLOW_MS = 30000;
/** Systems that one call asks for, and that one page shows. */
const PAGE = 100;
const ROWS = 15;
const TOKEN = "akosha-token";
const $ = (id) => document.getElementById(id);

/* ---- building the page ---- */

/** Returns an element; children that are no nodes become text. */
function h(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value != null) element.setAttribute(key, value);
  }
  element.append(...children.flat().filter((child) => child != null && child !== false));
  return element;
}

function svg(name, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

const empty = (...children) => h("p", { class: "empty" }, ...children);
const code = (text) => h("code", null, text);

/** Puts content in place unless it shows the same already: focus and selection stay. */
function show(target, ...content) {
  const next = h("div", null, ...content);
  const markup = next.innerHTML;
  if (markup === target.shown) return;
  target.shown = markup;
  const focused = target.contains(document.activeElement) && document.activeElement.dataset.key;
  target.replaceChildren(...next.childNodes);
  if (focused) {
    [...target.querySelectorAll("[data-key]")].find((one) => one.dataset.key === focused)?.focus();
  }
}

/* ---- numbers and times ---- */

const whole = new Intl.NumberFormat("en");
const number = (value) => (Number.isFinite(value) ? whole.format(value) : "–");

function size(bytes) {
  if (!Number.isFinite(bytes)) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let n = 0;
  while (bytes >= 1024 && n < units.length - 1) {
    bytes /= 1024;
    n += 1;
  }
  return `${n === 0 ? bytes : bytes.toFixed(1)} ${units[n]}`;
}

function span(seconds) {
  if (!Number.isFinite(seconds)) return "–";
  const steps = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const at = steps.findIndex(([length]) => seconds >= length);
  if (at < 0) return "0 s";
  const [length, unit] = steps[at];
  const left = Math.floor((seconds % length) / (steps[at + 1]?.[0] ?? 1));
  const rest = at < 2 && left > 0 ? ` ${left} ${steps[at + 1][1]}` : "";
  return `${Math.floor(seconds / length)} ${unit}${rest}`;
}

/** Returns a time as its distance from now; the exact one is its title. */
function time(text, none = "never") {
  const at = text ? Date.parse(text) : NaN;
  if (Number.isNaN(at)) return none;
  const ago = (Date.now() - at) / 1000;
  const said = Math.abs(ago) < 1 ? "now" : ago > 0 ? `${span(ago)} ago` : `in ${span(-ago)}`;
  return h("time", { datetime: text, title: text }, said);
}

const exact = (text) => h("time", { datetime: text }, text ? text.replace("T", " ").replace(/(\.\d+)?Z$/, " UTC") : "");

/* ---- the API ---- */

class Problem extends Error {
  constructor(status, message, after) {
    super(message);
    this.status = status;
    this.after = after;
  }
}

/** Calls the API; a refusal becomes a Problem that says what the server said. */
async function api(path, body) {
  const headers = { Accept: "application/json" };
  const token = sessionStorage.getItem(TOKEN);
  if (token) headers.Authorization = `Bearer ${token}`;
  const options = { headers, cache: "no-store", credentials: "omit" };
  // What changes something takes as long as it takes, and is ended where nobody waits for it.
  if (!body) options.signal = AbortSignal.timeout(20000);
  else {
    options.method = "POST";
    options.body = JSON.stringify(body);
    headers["Content-Type"] = "application/json";
  }
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Problem(0, "the server does not answer");
  }
  const answer = await response.json().catch(() => null);
  if (response.ok && answer) return answer;
  const detail = answer?.detail || answer?.title || response.statusText || `status ${response.status}`;
  const said = answer?.hint ? `${detail}; ${answer.hint}` : detail;
  if (response.status === 401) askForToken(token ? said : "");
  throw new Problem(response.status, said, Number(response.headers.get("Retry-After")));
}

const query = (values) => {
  const set = Object.entries(values).filter(([, value]) => value !== "" && value != null);
  return new URLSearchParams(set).toString();
};

function askForToken(why) {
  $("token-why").textContent = why ? `The server refused the token: ${why}` : "This server answers only with a token.";
  sessionStorage.removeItem(TOKEN);
  tokenButton("Enter token");
  if (!$("token").open) $("token").showModal();
}

$("token-form").addEventListener("submit", () => {
  sessionStorage.setItem(TOKEN, $("token-value").value.trim());
  $("token-value").value = "";
  load(true);
});

/** Offers to enter a token, or to forget the one that is in use. */
function tokenButton(label) {
  $("token-button").hidden = !label;
  $("token-button").textContent = label;
}

$("token-button").addEventListener("click", () => {
  if (!sessionStorage.getItem(TOKEN)) return askForToken("");
  sessionStorage.removeItem(TOKEN);
  location.reload();
});

/* ---- the state of the server ---- */

let before = null;
let rate = null;

/** Measures what is merged each second between two looks at the counts. */
function measure(status) {
  const counts = status.ingestion ?? {};
  const now = { at: performance.now(), done: (counts.memories_added ?? 0) + (counts.memories_updated ?? 0) };
  if (before && now.done >= before.done && now.at > before.at) {
    rate = ((now.done - before.done) * 1000) / (now.at - before.at);
  }
  before = now;
}

function figures(status) {
  const store = status.store ?? {};
  const ingestion = status.ingestion ?? {};
  const quarantine = new Set((status.quarantine ?? []).map((item) => `${item.system_id} ${item.upload_id}`)).size;
  const lag = status.lag ?? status.sync?.lag ?? {};
  const figure = (name, value, note, level) => [
    h("dt", null, name),
    h("dd", { class: level }, value, note ? h("small", null, ` ${note}`) : null),
  ];
  const all = [
    figure("Memories", number(store.memories)),
    figure("Systems", number(store.systems)),
    figure("Store", size(store.size_bytes)),
    figure("Ingesting", rate == null ? "–" : number(Math.round(rate)), "memories/s"),
    figure("Uploads waiting", number(ingestion.queue), ingestion.in_flight ? `+ ${number(ingestion.in_flight)} in work` : ""),
    figure("Ingestion lag", span(ingestion.lag_seconds), "", ingestion.lag_seconds > 900 ? "warn" : ""),
    figure("Quarantined", number(quarantine), "", quarantine ? "bad" : ""),
    figure("Conflicts", number(status.conflicts), "", status.conflicts ? "warn" : ""),
    figure("Not synced", number(lag.unsynced_memories)),
  ];
  show($("figures"), all.map((pair) => h("div", null, pair)));
}

function notices(status) {
  const severe = [];
  const mild = [];
  for (const breaker of status.breakers ?? []) {
    if (breaker.state === "open") severe.push(`The ${breaker.name} is left alone after ${breaker.failures} failures: ${breaker.last_error ?? "no reason is known"}. It is tried again in ${breaker.retry_in_seconds} s.`);
  }
  for (const task of status.tasks ?? []) {
    if (task.state !== "running") severe.push(`The task ${task.name} is ${task.state}: ${task.last_error ?? "it ended"}.`);
  }
  if (status.orchestrator?.mode === "fallback") mild.push(`The orchestrator does not answer, so this server schedules by itself: ${status.orchestrator.last_error ?? "no reason is known"}.`);
  if (status.ingestion?.last_error) mild.push(`Ingestion: ${status.ingestion.last_error}`);
  for (const warning of [...(status.warnings ?? []), ...(status.configuration_errors ?? status.sync?.configuration_errors ?? [])]) mild.push(warning);
  const target = $("notices");
  target.hidden = severe.length + mild.length === 0;
  target.classList.toggle("severe", severe.length > 0);
  show(target, [...severe, ...mild].map((text) => h("p", null, text)));
}

const facts = (pairs) => h("dl", { class: "facts" }, pairs.filter(Boolean).flatMap(([name, value]) => [h("dt", null, name), h("dd", null, value ?? "–")]));

function ingestion(status) {
  const one = status.ingestion;
  $("ingest-now").hidden = !one?.enabled;
  if (!one || !one.enabled || one.state === "off") {
    show($("ingestion-body"), empty("This server ingests nothing. Name the bucket that your machines upload to: ", code("cloud_bucket"), " in its configuration, then start it anew."));
    return;
  }
  show($("ingestion-body"), facts([
    ["State", one.state],
    ["Replica", h("span", { class: "id" }, one.replica ?? "–")],
    ["Last poll", time(one.last_poll_at)],
    ["Next poll", time(one.next_poll_at, "–")],
    ["Last full sweep", time(one.last_sweep_at)],
    ["Uploads merged", number(one.uploads_merged)],
    ["Memories", `${number(one.memories_added)} added, ${number(one.memories_updated)} updated, ${number(one.memories_skipped)} known before`],
    ["Duplicates", number(one.duplicates)],
    ["Read", size(one.bytes)],
    one.last_error ? ["Last error", h("span", { class: "bad" }, one.last_error)] : null,
  ]));
}

function sync(status) {
  const one = status.sync ?? status;
  const queue = one.queue ?? {};
  const vault = one.vault ?? {};
  show($("sync-body"), facts([
    ["System", h("span", { class: "id" }, one.system_id ?? status.node?.system_id ?? "–")],
    ["Vault", vault.url ?? h("span", null, "none; set ", code("cloud_bucket"))],
    ["Last upload", vault.last_upload_id ? h("span", { class: "id" }, vault.last_upload_id) : "none"],
    ["Verified", time(vault.verified_at)],
    ["Queue", `${number(queue.pending)} pending, ${number(queue.running)} running, ${number(queue.parked)} parked`],
    ["Last success", time(queue.last_success_at)],
    queue.last_error ? ["Last error", h("span", { class: "bad" }, queue.last_error)] : null,
  ]));
}

/** Returns a table that becomes a list of cards on a phone. Cells are [content, class]. */
function table(heads, rows) {
  const label = (head) => (typeof head.name === "string" ? head.name : "");
  return h("table", { class: "stack" },
    h("thead", null, h("tr", null, heads.map((head) => h("th", { scope: "col", class: head.class, "aria-sort": head.sort }, head.content ?? head.name)))),
    h("tbody", null, rows.map((row) => h("tr", null, row.map((cell, n) => h("td", { class: heads[n].class, "data-label": label(heads[n]) }, cell ?? "–"))))),
  );
}

function panels(status) {
  const tiers = status.tiers ?? [];
  const most = Math.max(1, ...tiers.map((tier) => tier.memories));
  const bar = (value) => {
    const inner = h("i");
    inner.style.width = `${(100 * value) / most}%`;
    return h("span", { class: "track", "aria-hidden": "true" }, inner);
  };
  show($("tiers-body"), tiers.some((tier) => tier.memories)
    ? table([{ name: "Tier" }, { name: "Memories", class: "number" }, { name: "Share" }], tiers.map((tier) => [tier.tier, number(tier.memories), bar(tier.memories)]))
    : empty("Nothing is stored yet."));

  const level = { closed: "good", half_open: "warn", open: "bad", running: "good", restarting: "warn", stopped: "bad" };
  const state = (name) => h("span", { class: level[name] }, (name ?? "–").replace("_", " "));
  const breakers = status.breakers ?? [];
  show($("breakers-body"), breakers.length
    ? table([{ name: "Guards" }, { name: "State" }, { name: "Failures", class: "number" }, { name: "Last error", class: "wide" }], breakers.map((one) => [one.name.replace("_", " "), state(one.state), number(one.failures), one.last_error ?? "none"]))
    : empty("No breakers are told."));
  const tasks = status.tasks ?? [];
  show($("tasks-body"), tasks.length
    ? table([{ name: "Task" }, { name: "State" }, { name: "Restarts", class: "number" }, { name: "Last error", class: "wide" }], tasks.map((one) => [one.name, state(one.state), number(one.restarts), one.last_error ?? "none"]))
    : empty("No tasks are told."));

  const one = status.orchestrator;
  show($("orchestrator-body"), !one || one.mode === "off"
    ? empty("None is set, so this server schedules by itself. To let one trigger ingestion, set ", code("orchestrator_url"), ".")
    : facts([
      ["Mode", h("span", { class: one.mode === "normal" ? "good" : "warn" }, one.mode)],
      ["Address", one.url],
      ["Last contact", time(one.last_contact_at)],
      ["Since", time(one.since, "–")],
      one.last_error ? ["Last error", h("span", { class: "bad" }, one.last_error)] : null,
    ]));
}

/* ---- quarantine ---- */

function quarantine(status) {
  const items = status.quarantine ?? [];
  $("retry-all").hidden = items.length === 0;
  if (!items.length) {
    show($("quarantine-body"), empty("Nothing is set aside. An upload that fails its checks appears here with the reason; all others go on."));
    return;
  }
  const button = (item, verb, label) => {
    const what = `${label} ${item.upload_id}`;
    return h("button", { type: "button", "data-key": what, "aria-label": what, onclick: (event) => settle(event.currentTarget, verb, { system_id: item.system_id, upload_id: item.upload_id }) }, label);
  };
  const heads = [{ name: "System" }, { name: "Upload", class: "wide" }, { name: "Reason", class: "wide" }, { name: "Since" }, { name: "", class: "actions", content: h("span", { class: "hidden" }, "Actions") }];
  show($("quarantine-body"), table(heads, items.map((item) => [
    h("span", { class: "id" }, item.system_id),
    h("span", { class: "id" }, item.item ?? item.memory_id ? `${item.upload_id}, memory ${item.item ?? item.memory_id}` : item.upload_id),
    item.reason,
    time(item.since),
    h("span", null, button(item, "retry", "Retry"), button(item, "release", "Release")),
  ])));
}

/** Retries or releases; releasing asks once more, since it gives an upload up. */
async function settle(button, verb, what) {
  if (verb === "release" && !button.dataset.sure) {
    button.dataset.sure = "yes";
    button.textContent = "Give it up?";
    setTimeout(() => {
      delete button.dataset.sure;
      button.textContent = "Release";
    }, 4000);
    return;
  }
  await act(button, $("quarantine-said"), `/api/v1/quarantine/${verb}`, what, verb === "retry" ? retried : "Released: it is not tried again.");
}

const retried = (report) => `Tried again: ${number(report.merged?.length ?? 0)} merged, ${number(report.quarantined?.length ?? 0)} still at fault.`;

/** Makes a call that changes something, and says what came of it. */
async function act(button, said, path, body, done) {
  button.disabled = true;
  show(said, h("p", { class: "notice" }, "Under way; it may take minutes."));
  try {
    const answer = await api(path, body);
    show(said, h("p", { class: "notice" }, typeof done === "function" ? done(answer) : done));
  } catch (problem) {
    const scope = problem.status === 403 ? " Use a token with a wider scope." : "";
    show(said, h("p", { class: "notice severe" }, `Not done: ${problem.message}.${scope}`));
  }
  button.disabled = false;
  load(true);
}

$("retry-all").addEventListener("click", (event) => settle(event.currentTarget, "retry", { all: true }));
$("ingest-now").addEventListener("click", (event) => act(event.currentTarget, $("ingestion-said"), "/api/v1/ingest", {}, (report) =>
  report.uploads_merged == null ? "Ingestion begins." : `${number(report.uploads_merged)} uploads merged, ${number(report.memories_added)} memories added.`));

/* ---- systems ---- */

const COLUMNS = [
  { key: "system_id", name: "System" },
  { key: "memories", name: "Memories", class: "number" },
  { key: "uploads", name: "Uploads", class: "number" },
  { key: "last_upload_at", name: "Last upload", class: "number" },
  { key: "last_merged_at", name: "Merged", class: "number" },
  { key: "lag_seconds", name: "Lag", class: "number" },
  { key: "quarantined", name: "Set aside", class: "number" },
];
const systems = { rows: [], total: 0, wanted: PAGE, at: 0, sort: "system_id", down: false, filter: "" };

async function loadSystems() {
  const rows = [];
  let cursor = null;
  let total = 0;
  do {
    const page = await api(`/api/v1/systems?${query({ limit: PAGE, cursor })}`);
    rows.push(...(page.systems ?? []));
    cursor = page.next_cursor;
    total = page.total ?? rows.length;
  } while (cursor && rows.length < systems.wanted);
  Object.assign(systems, { rows, total });
  show($("system-names"), rows.slice(0, 500).map((row) => h("option", { value: row.system_id })));
  drawSystems();
}

function drawSystems() {
  const { rows, sort, down, filter, total } = systems;
  if (!rows.length) {
    show($("systems-body"), empty("No machine has uploaded yet. On each machine set ", code("cloud_bucket"), " to the bucket of this server, then run ", code("akosha sync"), "."));
    return;
  }
  const sign = down ? -1 : 1;
  const chosen = rows.filter((row) => row.system_id.toLowerCase().includes(filter));
  chosen.sort((a, b) => {
    const [x, y] = [a[sort], b[sort]];
    if (x == null || y == null) return x == null ? (y == null ? 0 : 1) : -1;
    return sign * (typeof x === "string" ? x.localeCompare(y) : x - y);
  });
  const heads = COLUMNS.map((column) => {
    const is = column.key === sort;
    const arrow = is ? (down ? " ↓" : " ↑") : "";
    const turn = () => {
      systems.down = is ? !down : column.key !== "system_id";
      systems.sort = column.key;
      systems.at = 0;
      drawSystems();
    };
    return { ...column, sort: is ? (down ? "descending" : "ascending") : null, content: h("button", { type: "button", "data-key": column.key, onclick: turn }, column.name, arrow) };
  });
  const at = Math.min(systems.at, Math.floor(Math.max(0, chosen.length - 1) / ROWS) * ROWS);
  const body = chosen.slice(at, at + ROWS).map((row) => [
    h("span", { class: "id" }, row.system_id),
    number(row.memories),
    number(row.uploads),
    h("span", { title: row.last_upload_id ?? "" }, time(row.last_upload_at)),
    time(row.last_merged_at),
    span(row.lag_seconds),
    row.quarantined ? h("span", { class: "bad" }, number(row.quarantined)) : "0",
  ]);
  const isAll = rows.length >= total;
  const turn = (to) => {
    systems.at = to;
    if (isAll || to + ROWS <= chosen.length) return drawSystems();
    systems.wanted = rows.length + PAGE;
    attempt(loadSystems);
  };
  const pager = (label, to, can) => h("button", { type: "button", "data-key": label, disabled: !can, onclick: () => turn(to) }, label);
  const hasNext = at + ROWS < chosen.length || !isAll;
  show($("systems-body"),
    chosen.length ? table(heads, body) : empty(`None of ${number(rows.length)} systems has “${filter}” in its name.`),
    h("div", { class: "more" },
      chosen.length > ROWS || !isAll ? h("span", null, pager("Previous", at - ROWS, at > 0), pager("Next", at + ROWS, hasNext)) : null,
      h("span", null, chosen.length ? `${number(at + 1)} to ${number(Math.min(at + ROWS, chosen.length))} of ${number(filter ? chosen.length : total)}` : null),
      isAll ? null : h("span", null, `sorted and filtered among the first ${number(rows.length)}`)));
}

$("system-filter").addEventListener("input", (event) => {
  systems.filter = event.target.value.trim().toLowerCase();
  systems.at = 0;
  drawSystems();
});

/* ---- plots ---- */

const PERIODS = { day: ["hour", 24], week: ["hour", 168], month: ["day", 30] };
let activity = null;

async function loadActivity() {
  const [bucket, count] = PERIODS[$("period").value];
  const length = bucket === "hour" ? 3600e3 : 86400e3;
  const last = Math.floor(Date.now() / length) * length;
  const first = last - (count - 1) * length;
  const answer = await api(`/api/v1/activity?${query({ bucket, since: new Date(first).toISOString() })}`);
  const known = new Map((answer.points ?? []).map((point) => [Math.floor(Date.parse(point.at) / length), point]));
  activity = { bucket, points: [] };
  for (let at = first; at <= last; at += length) {
    const point = known.get(at / length);
    activity.points.push({ at, uploads: point?.uploads ?? 0, memories: point?.memories ?? 0 });
  }
  drawActivity();
}

const when = (at, bucket) => {
  const text = new Date(at).toISOString();
  return bucket === "hour" ? `${text.slice(5, 10)} ${text.slice(11, 16)}` : text.slice(0, 10);
};

function drawActivity() {
  if (!activity) return;
  const { bucket, points } = activity;
  plot($("plot-uploads"), "uploads", points, bucket);
  plot($("plot-memories"), "memories", points, bucket);
  const rows = points.filter((point) => point.uploads || point.memories).reverse();
  show($("activity-table"), rows.length
    ? table([{ name: bucket === "hour" ? "Hour (UTC)" : "Day (UTC)" }, { name: "Uploads", class: "number" }, { name: "Memories", class: "number" }], rows.map((point) => [when(point.at, bucket), number(point.uploads), number(point.memories)]))
    : empty("Nothing happened in this period."));
}

/** Returns the least of 1, 2, 5 times a power of ten that is not below a value. */
function ceiling(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(1, value)));
  return [1, 2, 5, 10].map((n) => n * power).find((n) => n >= value);
}

function plot(target, key, points, bucket) {
  const most = Math.max(...points.map((point) => point[key]));
  if (!most) {
    show(target, empty(key === "uploads" ? "No upload was merged in this period." : "No memory was stored in this period."));
    return;
  }
  const [width, height, left, top, bottom] = [Math.max(240, target.clientWidth), 150, 48, 8, 20];
  const high = ceiling(most);
  const step = (width - left) / points.length;
  const y = (value) => top + (height - top - bottom) * (1 - value / high);
  const total = points.reduce((sum, point) => sum + point[key], 0);
  const label = `${number(total)} ${key} in ${points.length} ${bucket}s from ${when(points[0].at, bucket)} to ${when(points.at(-1).at, bucket)} UTC, at most ${number(most)} in one ${bucket}`;
  const drawing = svg("svg", { width, height, role: "img", "aria-label": label });
  for (const value of [0, high / 2, high]) {
    drawing.append(svg("line", { class: "grid", x1: left, x2: width, y1: y(value), y2: y(value) }));
    const text = svg("text", { x: left - 6, y: y(value) + 4, "text-anchor": "end" });
    text.textContent = number(value);
    if (Number.isInteger(value)) drawing.append(text);
  }
  points.forEach((point, n) => {
    const from = y(point[key]);
    const title = svg("title", {});
    title.textContent = `${when(point.at, bucket)} UTC: ${number(point[key])} ${key}`;
    const bar = { class: "bar", x: left + n * step + step * 0.1, width: step * 0.8, y: from, height: Math.max(0, y(0) - from) };
    drawing.append(svg("rect", bar, title));
  });
  for (const [n, anchor] of [[0, "start"], [Math.floor(points.length / 2), "middle"], [points.length - 1, "end"]]) {
    const x = anchor === "start" ? left : anchor === "end" ? width : left + (n + 0.5) * step;
    const text = svg("text", { x, y: height - 4, "text-anchor": anchor });
    text.textContent = when(points[n].at, bucket);
    drawing.append(text);
  }
  show(target, drawing);
}

$("period").addEventListener("change", () => attempt(loadActivity));
addEventListener("resize", drawActivity);

/* ---- search and memories ---- */

$("search-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const values = Object.fromEntries(new FormData(event.target));
  for (const key of ["since", "until"]) if (values[key]) values[key] += "T00:00:00Z";
  if (!values.query.trim()) {
    show($("results"), empty("Type what to look for: names, exact words and error texts work best."));
    return;
  }
  show($("results"), empty("Searching …"));
  try {
    const answer = await api(`/api/v1/search?${query(values)}`);
    drawResults(answer, values.query);
  } catch (problem) {
    show($("results"), h("p", { class: "notice severe" }, `Not searched: ${problem.message}.`));
  }
});

function drawResults(answer, asked) {
  const missing = (answer.missing ?? []).map((part) => `${part.shard ?? part.tier ?? part.backend ?? "a part"}: ${part.reason}`);
  const found = answer.results ?? [];
  const count = `${number(found.length)} ${found.length === 1 ? "result" : "results"} in ${(answer.took_ms ?? 0).toFixed(1)} ms`;
  show($("results"),
    answer.partial ? h("p", { class: "notice", id: "partial" }, `This is not everything. Not searched: ${missing.join("; ") || "a part of the store"}.`) : null,
    found.length ? h("p", { class: "quiet" }, count) : empty("Nothing matches. Try other words, fewer filters, or a lower least score."),
    h("ol", null, found.map((hit) => {
      const also = hit.also_in?.length ? `also in ${hit.also_in.join(", ")}` : null;
      const about = [h("span", { class: "score" }, (hit.score ?? 0).toFixed(2)), hit.system_id, also, hit.metadata?.project, hit.metadata?.type, hit.tier, (hit.matched ?? []).join(" and ")];
      return h("li", null, h("button", { type: "button", class: "hit", "data-key": `${hit.system_id}/${hit.memory_id}`, onclick: () => openMemory(hit.system_id, hit.memory_id) },
        h("span", { class: "text" }, marked(hit.text ?? "", asked)),
        h("span", { class: "about" }, about.filter(Boolean).map((part) => (typeof part === "string" ? h("span", null, part) : part)), h("span", null, time(hit.created_at, "")))));
    })));
}

/** Returns a text as nodes in which the words that were asked for are marked. */
function marked(text, asked) {
  const words = asked.split(/[^\p{L}\p{N}_]+/u).filter((word) => word.length > 1).slice(0, 20);
  if (!words.length) return [text];
  return text.slice(0, 2000).split(new RegExp(`(${words.join("|")})`, "iu")).map((part, n) => (n % 2 ? h("mark", null, part) : part));
}

async function openMemory(systemId, memoryId) {
  const path = `/api/v1/memories/${encodeURIComponent(systemId)}/${encodeURIComponent(memoryId)}`;
  $("memory-body").replaceChildren(empty("Loading …"));
  $("memory").showModal();
  try {
    const [memory, history] = await Promise.all([api(path), api(`${path}/history`)]);
    drawMemory(memory, history);
  } catch (problem) {
    $("memory-body").replaceChildren(h("p", { class: "notice severe" }, `Not shown: ${problem.message}.`));
  }
}

function drawMemory(memory, history) {
  const known = ["memory_id", "system_id"];
  const extra = Object.entries(memory.metadata ?? {}).filter(([key]) => !known.includes(key));
  const plain = (value) => (typeof value === "string" ? value : Array.isArray(value) ? value.join(", ") : JSON.stringify(value));
  const revisions = [...(history.revisions ?? [])].sort((a, b) => b.revision - a.revision);
  $("memory-body").replaceChildren(
    h("pre", { class: "body" }, memory.text),
    facts([
      ["Memory", h("span", { class: "id" }, memory.memory_id)],
      ["System", h("span", { class: "id" }, memory.system_id)],
      ["Made", exact(memory.created_at)],
      ["Changed", exact(memory.updated_at)],
      ["Stored here", exact(memory.stored_at)],
      ["Tier", memory.tier],
      ["Came by", memory.ingestion_method],
      ["Vector", memory.embedding_dim ? `${memory.embedding_dim} numbers` : "none"],
      ...extra.map(([key, value]) => [key, plain(value)]),
    ]),
    h("h3", null, "History"),
    ...(revisions.length > 1 ? revisions.map((one) => h("div", { class: "revision" },
      h("p", null, `Revision ${one.revision}, `, exact(one.updated_at ?? one.stored_at)),
      h("pre", { class: "body" }, one.text ?? ""))) : [empty("It has one revision.")]),
  );
}

$("memory-close").addEventListener("click", () => $("memory").close());

/* ---- keeping up ---- */

let slowAt = -Infinity;
let timer = null;
let running = false;

/** Runs a part of the refresh; what fails is said in the header. */
async function attempt(work) {
  try {
    await work();
    return null;
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    return problem;
  }
}

function say(level, text) {
  $("state").dataset.state = level;
  if ($("state-text").textContent !== text) $("state-text").textContent = text;
}

async function loadStatus() {
  const status = await api("/status");
  measure(status);
  const node = status.node ?? {};
  $("node").textContent = [node.system_id, status.version && `version ${status.version}`, node.uptime_seconds != null && `up ${span(node.uptime_seconds)}`].filter(Boolean).join(", ");
  document.title = node.system_id ? `${node.system_id} – Akosha` : "Akosha";
  for (const draw of [figures, notices, ingestion, sync, panels, quarantine]) draw(status);
}

/** Refreshes everything that is due. */
async function load(all) {
  if (running) return;
  running = true;
  clearTimeout(timer);
  let pause = REFRESH_MS;
  const parts = [loadStatus];
  if (all || performance.now() - slowAt > SLOW_MS) parts.push(loadSystems, loadActivity);
  try {
    const problems = (await Promise.all(parts.map(attempt))).filter(Boolean);
    const away = problems.find((problem) => problem.status === 0 || problem.status >= 500);
    document.body.classList.toggle("stale", Boolean(away));
    if (problems.length === 0) {
      if (parts.length > 1) slowAt = performance.now();
      tokenButton(sessionStorage.getItem(TOKEN) ? "Forget token" : "");
      say("good", `up to date at ${new Date().toLocaleTimeString("en-GB")}`);
    } else {
      slowAt = -Infinity;
      const first = away ?? problems[0];
      if (first.after > 0) pause = Math.max(pause, first.after * 1000);
      const again = away ? "; what you see is from before. Trying again every few seconds" : "";
      say(first.status === 401 ? "warn" : "bad", first.status === 401 ? "waiting for a token" : `${first.message}${again}`);
      if (first.status === 401) pause = null;
    }
  } finally {
    running = false;
  }
  if (pause && !document.hidden) timer = setTimeout(load, pause);
}

document.addEventListener("visibilitychange", () => {
  clearTimeout(timer);
  if (!document.hidden) load();
});

load(true);
