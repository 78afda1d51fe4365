// Draws what /events tells. Names come from files and clouds: everything is put in as text, nothing as markup.
"use strict";

const SVG = "http://www.w3.org/2000/svg";
const byId = (id) => document.getElementById(id);

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function drawn(name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

function people(seconds) {
  if (seconds === null || seconds === undefined) return "not known";
  const parts = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const from = parts.findIndex(([length]) => seconds >= length);
  if (from < 0) return "0 s";
  const [length, unit] = parts[from];
  const whole = Math.floor(seconds / length);
  const next = parts[from + 1];
  const rest = next ? Math.floor((seconds % length) / next[0]) : 0;
  return rest ? `${whole} ${unit} ${rest} ${next[1]}` : `${whole} ${unit}`;
}

// UTC to the second, as the terminal has it.
const clock = (utc) => (utc ? utc.replace(/\.\d+Z$/, "Z") : "not known");

function list(id, rows, none) {
  const items = rows.map((row) => element("li", row));
  byId(id).replaceChildren(...(items.length ? items : [element("li", none, "quiet")]));
}

function facts(target, rows) {
  const cells = rows.flatMap(([name, value]) => [element("dt", name), element("dd", value)]);
  target.replaceChildren(...cells);
}

// The scale of a picture over time: from the first point to the end that is foreseen.
function scale(begin, now, left, most, height) {
  // A phone's picture is drawn narrower, so that its words stay readable.
  const width = Math.min(640, byId("campaigns").clientWidth || 640);
  const margin = 26;
  const end = Math.max(now + (left || 0), begin + 1);
  const x = (s) => margin + ((Math.min(Math.max(s, begin), end) - begin) / (end - begin)) * (width - 2 * margin);
  const y = (n) => height - margin - (n / Math.max(most, 1)) * (height - 2 * margin);
  return { width, height, margin, begin, end, x, y };
}

function picture(title, at, left, now) {
  const made = drawn("svg", { viewBox: `0 0 ${at.width} ${at.height}`, role: "img" });
  made.append(drawn("title", {}, title));
  made.append(drawn("text", { x: at.margin, y: at.height - 8 }, `${people(now - at.begin)} ago`));
  const last = left ? `in ${people(left)}` : "now";
  made.append(drawn("text", { x: at.width - at.margin, y: at.height - 8, "text-anchor": "end" }, last));
  return made;
}

const line = (at, points) => points.map(([s, n], i) => `${i ? "L" : "M"}${at.x(s).toFixed(1)} ${at.y(n).toFixed(1)}`).join("");

// Sessions as seconds of the service: start, end, frames that are planned.
function spans(plan, utc, now) {
  if (!utc) return [];
  const at = (text) => now + (Date.parse(text) - Date.parse(utc)) / 1000;
  return plan.sessions.map((one) => [at(one.start), at(one.end), one.frames]);
}

// What is ahead: frames rise in sessions, burst by burst; without sessions on one line.
function ahead(plan, sessions, from, now, left) {
  const coming = sessions.filter(([, end]) => end > now);
  const points = [from];
  let done = from[1];
  for (const [start, end, frames] of coming) {
    const rest = plan.frames - done;
    const burst = Math.min(rest, frames === null ? Math.ceil(rest / coming.length) : frames);
    const begin = Math.max(start, now);
    points.push([begin, done], [Math.min(end, begin + (burst * plan.spacing_us) / 1e6), (done += burst)]);
  }
  if (!coming.length || done < plan.frames) points.push([now + left, plan.frames]);
  return points;
}

// Frames over time with the sessions, and what is ahead to the end that is foreseen.
function course(points, plan, sessions, now, left) {
  const at = scale(points[0][0], now, left, plan.frames, 170);
  const made = picture("frames over time", at, left, now);
  for (const [start, end] of sessions.filter(([start, end]) => end > at.begin && start < at.end)) {
    made.append(drawn("rect", { x: at.x(start), width: Math.max(at.x(end) - at.x(start), 1), y: at.y(plan.frames), height: at.y(0) - at.y(plan.frames), class: "session" }));
  }
  for (const n of [0, plan.frames]) {
    made.append(drawn("line", { x1: at.margin, x2: at.width - at.margin, y1: at.y(n), y2: at.y(n), class: "axis" }));
  }
  made.append(drawn("text", { x: at.margin, y: at.y(plan.frames) - 5 }, `${plan.frames} frames`));
  made.append(drawn("path", { d: line(at, points), class: "course" }));
  if (left) made.append(drawn("path", { d: line(at, ahead(plan, sessions, points[points.length - 1], now, left)), class: "ahead" }));
  return made;
}

// When so many frames are or will be behind us, seconds.
function when(points, frames) {
  for (let i = 1; i < points.length; i++) {
    const [[s, n], [t, m]] = [points[i - 1], points[i]];
    if (m >= frames) return m > n ? s + ((t - s) * Math.max(frames - n, 0)) / (m - n) : t;
  }
  return points.length ? points[points.length - 1][0] : 0;
}

const STATES = ["proved", "told", "asked", "out of reach"];

// Devices by state over time, and the band of those that are foreseen to hold the image; without states in per cent.
function overTime(fleet, known, plan, sessions, now, left) {
  const last = known ? known.points[known.points.length - 1] : null;
  const begin = Math.min(...[known, fleet].filter((one) => one && one.points.length).map((one) => one.points[0][0]));
  const counts = fleet ? fleet.points[fleet.points.length - 1][1] : null;
  const most = counts ? counts.reduce((sum, n) => sum + n, 0) : 100;
  const at = scale(fleet ? begin : known.points[0][0], now, left, most, 150);
  const made = picture("devices by state over time", at, left, now);
  if (fleet) {
    const points = [...fleet.points, [now, counts]];
    STATES.forEach((state, i) => {
      const upTo = (n) => points.map(([s, each]) => [s, each.slice(0, n).reduce((sum, one) => sum + one, 0)]);
      const area = [...upTo(i + 1), ...upTo(i).reverse()];
      made.append(drawn("path", { d: `${line(at, area)}Z`, class: `state-${i}` }));
    });
  }
  if (known && known.foreseen.length && last) {
    // Whoever was told listens; without states it is a part of those that do.
    const reach = counts ? counts[0] + counts[1] : 100;
    const course = left && plan ? [...known.points, ...ahead(plan, sessions, last, now, left)] : known.points;
    const reached = left ? known.foreseen : known.foreseen.filter(([frames]) => frames <= last[1]);
    const edge = (of) => reached.map((one) => [when(course, one[0]), one[of] * reach]);
    made.append(drawn("path", { d: `${line(at, [...edge(2), ...edge(1).reverse()])}Z`, class: "foreseen" }));
  }
  made.append(drawn("line", { x1: at.margin, x2: at.width - at.margin, y1: at.y(0), y2: at.y(0), class: "axis" }));
  made.append(drawn("text", { x: at.margin, y: at.y(most) - 5 }, counts ? `${most} devices` : "100 % of the devices that listen"));
  return made;
}

function keys(...names) {
  const made = element("p");
  for (const [name, text] of names) made.append(element("span", "", `key ${name}`), `${text}  `);
  return made;
}

// What a report and the terminal call what devices hold, and the words for people.
const HELD = { done: "done", probably: "probably", missing: "missing fragments", failed: "failed", "lost-state": "lost-state", unheard: "unheard", "not-told": "not told" };

function held(answers) {
  const counts = Object.entries(HELD).filter(([name]) => name === "done" || answers.counts[name]);
  const asked = answers.questions ? ` after ${answers.questions} question${answers.questions === 1 ? "" : "s"}` : "";
  const until = answers.ends_at ? ` until ${clock(answers.ends_at)}` : answers.ends_in_s === null ? "" : ` for ${people(answers.ends_in_s)}`;
  const more = { alone: `; asked alone${until}`, between: until ? `; asked alone${until}` : "; one more session follows", together: until && `; answers are awaited${until}` }[answers.stage] || "";
  return `${counts.map(([name, word]) => `${answers.counts[name]} ${word}`).join(", ")}${asked}${more}`;
}

// Lists that somebody opened: everything is drawn anew each second.
const opened = new Set();

// The devices that do not hold the image, in a list that opens.
function without(answers) {
  const devices = Object.entries(answers.without);
  if (!devices.length) return [];
  const { done, probably, ...others } = answers.counts;
  const all = Object.values(others).reduce((sum, n) => sum + n, 0);
  const part = element("details");
  part.open = opened.has(answers.task);
  part.ontoggle = () => (part.open ? opened.add(answers.task) : opened.delete(answers.task));
  const summary = element("summary", `${all} ${all === 1 ? "device does" : "devices do"} not hold the image`);
  summary.dataset.task = answers.task;
  const items = devices.map(([device, result]) => element("li", `${device} ${result}`));
  if (all > devices.length) items.push(element("li", `and ${all - devices.length} more: fuotad devices list`));
  const names = element("ul");
  names.append(...items);
  part.append(summary, names);
  return [part];
}

function campaign(task, status, over) {
  const now = status.uptime_s;
  const part = element("article");
  part.append(element("h3", task.task));
  const rows = [["phase", task.phase]];
  if (task.waiting) rows.push(["waits for", task.waiting]);
  const plan = task.campaign;
  if (plan) {
    rows.push(["group", plan.group]);
    rows.push(["frames", `${plan.frames_done} of ${plan.frames} (${plan.percent.toFixed(1)} %)`]);
    rows.push(["left", plan.left_s === null ? "until a start is known" : `${people(plan.left_s)}, to ${clock(plan.eta)}`]);
    rows.push(["sent", `${plan.sent} taken by the forwarder, ${plan.radiated} on the air, ${plan.unconfirmed} unconfirmed, ${plan.made_up} made up`]);
    rows.push(["where", `${(plan.frequency_hz / 1e6).toFixed(3)} MHz, DR${plan.data_rate}, sub-band ${plan.sub_band}`]);
    rows.push(["pace", `${(plan.airtime_us / 1e6).toFixed(3)} s every ${(plan.spacing_us / 1e6).toFixed(3)} s`]);
    if (plan.session) rows.push(["session", `${clock(plan.session[0])} to ${clock(plan.session[1])}`]);
    if (plan.sessions.length) rows.push(["timetable", plan.sessions.map((one) => `${clock(one.start)}${one.frames === null ? "" : ` ${one.frames} frames`}`).join(", ")]);
    const known = over.courses.find((one) => one.task === task.task);
    if (known && known.points.length) {
      const fleet = over.fleets.find((one) => one.group === plan.group);
      const sessions = spans(plan, status.clock.utc, now);
      part.append(course(known.points, plan, sessions, now, plan.left_s));
      part.append(overTime(fleet, known, plan, sessions, now, plan.left_s));
      const states = fleet ? STATES.map((state, i) => [`state-${i}`, state]) : [];
      part.append(keys(...states, ["foreseen", `foreseen to hold the image, losing ${over.losses[1]} to ${over.losses[0]} % of the frames`]));
    }
  }
  const answers = status.answers.find((one) => one.task === task.task);
  if (answers) rows.push(["answers", held(answers)]);
  const table = element("dl");
  facts(table, rows);
  part.append(table, ...(answers ? without(answers) : []));
  return part;
}

// What is over, with what its devices hold and the course that this page has of it.
function past([task, outcome], status, over) {
  const item = element("li", `${task}: ${outcome}`);
  const answers = status.answers.find((one) => one.task === task);
  if (answers) item.append(element("p", `answers: ${held(answers)}`), ...without(answers));
  const known = over.courses.find((one) => one.task === task);
  if (known && known.points.length > 1) {
    const end = known.points[known.points.length - 1][0];
    item.append(course(known.points, known, [], end, 0), overTime(null, known, null, [], end, 0));
  }
  return item;
}

function band(one) {
  const part = element("article");
  const servers = Math.max(one.total_us - one.ours_us, 0);
  const s = (us) => `${(us / 1e6).toFixed(1)} s`;
  part.append(element("h3", `${one.label} ${(one.min_hz / 1e6).toFixed(3)}–${(one.max_hz / 1e6).toFixed(3)} MHz`));
  const picture = drawn("svg", { viewBox: "0 0 640 18", role: "img" });
  picture.append(drawn("title", {}, "airtime against the law"));
  const wide = (us) => (Math.min(us / Math.max(one.budget_us, 1), 1) * 640).toFixed(1);
  picture.append(drawn("rect", { width: 640, height: 18, class: "room" }));
  // What servers have used of their reserve is not kept for them any more.
  const kept = wide(Math.max(one.reserve_us - servers, 0));
  picture.append(drawn("rect", { x: (640 - kept).toFixed(1), width: kept, height: 18, class: "reserve" }));
  picture.append(drawn("rect", { width: wide(one.ours_us), height: 18, class: "ours" }));
  picture.append(drawn("rect", { x: wide(one.ours_us), width: wide(servers), height: 18, class: "server" }));
  part.append(picture);
  const line = keys(["ours", `campaigns ${s(one.ours_us)}`], ["server", `servers ${s(servers)}`], ["reserve", `reserve for servers ${s(one.reserve_us)}`]);
  line.append(`law ${s(one.budget_us)}, left ${s(one.left_us)}`);
  part.append(line);
  return part;
}

// Each device stands in one state.
function devices(fleet, over, now) {
  const part = element("article");
  part.append(element("h3", fleet.group));
  const lost = fleet.refused + fleet.not_heard_here + fleet.silent;
  const rows = [
    ["proved", fleet.proved], ["told", fleet.told - fleet.proved], ["asked", fleet.devices - fleet.told - lost],
    ["not heard here", fleet.not_heard_here], ["silent", fleet.silent], ["refused", fleet.refused],
  ];
  const table = element("dl");
  facts(table, [["devices", `${fleet.devices}`], ...rows.filter(([, n]) => n).map(([name, n]) => [name, `${n}`])]);
  part.append(table);
  const known = over.fleets.find((one) => one.group === fleet.group);
  if (known && known.points.length) {
    part.append(overTime(known, null, null, [], now, 0), keys(...STATES.map((state, i) => [`state-${i}`, state])));
  }
  return part;
}

// One sentence for each thing that keeps frames from the air.
function reasons(status) {
  if (status.tasks.some((task) => task.phase === "sending")) return status.is_ready ? [] : status.not_ready;
  if (!status.tasks.length && status.is_ready) return ["nothing is ordered: fuotad order IMAGE --group NAME"];
  const waits = status.tasks.filter((task) => task.waiting && !status.not_ready.some((why) => why.includes(task.waiting)));
  return [...status.not_ready, ...waits.map((task) => `${task.task} waits for ${task.waiting}`)];
}

function gateway(status) {
  const forwarder = status.forwarder;
  const rows = [];
  rows.push(["forwarder", forwarder.online
    ? `${forwarder.gateway} at ${forwarder.online}, ${forwarder.uplinks} uplinks`
    : `not connected, expected on ${forwarder.listen}`]);
  if (status.hearing) rows.push(["hearing", `${status.hearing.kept_percent} % of usual uplinks in the last hour, ${status.hearing.promised_percent} % promised`]);
  if (forwarder.swallowed) rows.push(["swallowed", `${forwarder.swallowed} frames acknowledged and never sent`]);
  for (const server of status.servers) {
    const state = server.is_online ? `${server.uplinks} uplinks, ${server.asked} downlinks` : server.trouble || "does not answer";
    rows.push(["server", `${server.name}: ${state}`]);
  }
  for (const lns of status.lns) rows.push(["lns", `${lns.name}: ${lns.state}${lns.reason ? `, ${lns.reason}` : ""}`]);
  rows.push(["clock", status.clock.is_trusted ? clock(status.clock.utc) : `not trusted: ${status.clock.reason}`]);
  if (status.state_free_bytes) rows.push(["disk", `${Math.floor(status.state_free_bytes / 1e6)} MB free`]);
  for (const warning of status.warnings) rows.push(["warning", warning]);
  return rows;
}

function show({ status, ...over }) {
  const focused = document.activeElement.dataset.task;
  byId("about").textContent = `${status.version}, ${status.region}, up ${people(status.uptime_s)}`;
  const state = byId("state");
  state.textContent = status.is_ready ? "ready" : "not ready";
  state.className = status.is_ready ? "good" : "bad";
  const why = reasons(status);
  byId("why").hidden = why.length === 0;
  list("reasons", why, "");
  const tasks = status.tasks.map((task) => campaign(task, status, over));
  byId("campaigns").replaceChildren(...(tasks.length ? tasks : [element("p", "no task", "quiet")]));
  const bands = status.bands.map(band);
  byId("bands").replaceChildren(...(bands.length ? bands : [element("p", "no limit of the law counts here", "quiet")]));
  byId("of-devices").hidden = status.fleets.length === 0;
  byId("devices").replaceChildren(...status.fleets.map((fleet) => devices(fleet, over, status.uptime_s)));
  facts(byId("gateway"), gateway(status));
  list("history", [], "nothing is over yet");
  const ended = [...status.finished].reverse().map((one) => past(one, status, over));
  const refused = status.refused.map(([task, reason]) => element("li", `refused ${task}: ${reason}`));
  if (ended.length + refused.length) byId("history").replaceChildren(...ended, ...refused);
  // Who goes through the page by keyboard stays where he was.
  if (focused !== undefined) [...document.querySelectorAll("summary")].find((one) => one.dataset.task === focused)?.focus();
}

const events = new EventSource("events");
events.onmessage = (event) => show(JSON.parse(event.data));
events.onerror = () => {
  const state = byId("state");
  state.textContent = "the service does not answer; trying again";
  state.className = "bad";
};
