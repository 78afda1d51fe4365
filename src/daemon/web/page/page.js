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

// Frames over time, and what is ahead to the end that is foreseen.
function course(points, frames, now, left) {
  // A phone's picture is drawn narrower, so that its words stay readable.
  const width = Math.min(640, byId("campaigns").clientWidth || 640);
  const [height, margin] = [170, 26];
  const begin = points[0][0];
  const end = Math.max(now + (left || 0), begin + 1);
  const x = (s) => margin + ((s - begin) / (end - begin)) * (width - 2 * margin);
  const y = (n) => height - margin - (n / Math.max(frames, 1)) * (height - 2 * margin);
  const picture = drawn("svg", { viewBox: `0 0 ${width} ${height}`, role: "img" });
  picture.append(drawn("title", {}, "frames over time"));
  for (const n of [0, frames]) {
    picture.append(drawn("line", { x1: margin, x2: width - margin, y1: y(n), y2: y(n), class: "axis" }));
  }
  picture.append(drawn("text", { x: margin, y: y(frames) - 5 }, `${frames} frames`));
  const path = points.map(([s, n], i) => `${i ? "L" : "M"}${x(s).toFixed(1)} ${y(n).toFixed(1)}`).join("");
  picture.append(drawn("path", { d: path, class: "course" }));
  if (left) {
    const [s, n] = points[points.length - 1];
    picture.append(drawn("path", { d: `M${x(s)} ${y(n)}L${x(now + left)} ${y(frames)}`, class: "ahead" }));
  }
  picture.append(drawn("text", { x: margin, y: height - 8 }, `${people(now - begin)} ago`));
  const last = left ? `in ${people(left)}` : "now";
  picture.append(drawn("text", { x: width - margin, y: height - 8, "text-anchor": "end" }, last));
  return picture;
}

function campaign(task, courses, now) {
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
    const known = courses.find((one) => one.task === task.task);
    if (known && known.points.length) part.append(course(known.points, plan.frames, now, plan.left_s));
  }
  const table = element("dl");
  facts(table, rows);
  part.append(table);
  return part;
}

// What is over, with the course that this page has of it.
function over([task, outcome], courses) {
  const item = element("li", `${task}: ${outcome}`);
  const known = courses.find((one) => one.task === task);
  if (known && known.points.length > 1) {
    item.append(course(known.points, known.frames, known.points[known.points.length - 1][0], 0));
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
  picture.append(drawn("rect", { width: wide(one.ours_us), height: 18, class: "ours" }));
  picture.append(drawn("rect", { x: wide(one.ours_us), width: wide(servers), height: 18, class: "server" }));
  part.append(picture);
  const line = element("p");
  const key = (name, text) => line.append(element("span", "", `key ${name}`), `${text}  `);
  key("ours", `campaigns ${s(one.ours_us)}`);
  key("server", `servers ${s(servers)}`);
  line.append(`law ${s(one.budget_us)}, left ${s(one.left_us)}`);
  part.append(line);
  return part;
}

// Each device stands in one state.
function devices(fleet) {
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
  return part;
}

function gateway(status) {
  const forwarder = status.forwarder;
  const rows = [];
  rows.push(["forwarder", forwarder.online
    ? `${forwarder.gateway} at ${forwarder.online}, ${forwarder.uplinks} uplinks`
    : `not connected, expected on ${forwarder.listen}`]);
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

function show({ status, courses }) {
  byId("about").textContent = `${status.version}, ${status.region}, up ${people(status.uptime_s)}`;
  const state = byId("state");
  state.textContent = status.is_ready ? "ready" : "not ready";
  state.className = status.is_ready ? "good" : "bad";
  byId("why").hidden = status.is_ready;
  list("reasons", status.not_ready, "");
  const tasks = status.tasks.map((task) => campaign(task, courses, status.uptime_s));
  byId("campaigns").replaceChildren(...(tasks.length ? tasks : [element("p", "no task", "quiet")]));
  const bands = status.bands.map(band);
  byId("bands").replaceChildren(...(bands.length ? bands : [element("p", "no limit of the law counts here", "quiet")]));
  byId("of-devices").hidden = status.fleets.length === 0;
  byId("devices").replaceChildren(...status.fleets.map(devices));
  facts(byId("gateway"), gateway(status));
  list("history", [], "nothing is over yet");
  const past = [...status.finished].reverse().map((one) => over(one, courses));
  const refused = status.refused.map(([task, reason]) => element("li", `refused ${task}: ${reason}`));
  if (past.length + refused.length) byId("history").replaceChildren(...past, ...refused);
}

const events = new EventSource("events");
events.onmessage = (event) => show(JSON.parse(event.data));
events.onerror = () => {
  const state = byId("state");
  state.textContent = "the service does not answer; trying again";
  state.className = "bad";
};
