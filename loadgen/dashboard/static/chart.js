// A chart that grows: lines over time on a canvas, with what is under the cursor in its legend.
//
// Points are [second, [value of each series]]; a value is a number, [lowest, mean, highest] where a point
// stands for several seconds, or null.  Nothing is drawn until draw() is called.

const LEFT = 46, RIGHT = 8, TOP = 8, BOTTOM = 20;

export const low = value => Array.isArray(value) ? value[0] : value;
export const mean = value => Array.isArray(value) ? value[1] : value;
export const high = value => Array.isArray(value) ? value[2] : value;

export function three(value) {
  if (value === null || value === undefined) return "–";
  if (value === 0) return "0";
  const digits = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  return value.toLocaleString("en", {minimumFractionDigits: digits, maximumFractionDigits: digits});
}

export function clock(seconds) {
  const whole = Math.floor(seconds), pad = number => String(number).padStart(2, "0");
  const minutes = Math.floor(whole / 60) % 60, hours = Math.floor(whole / 3600);
  return (hours ? `${hours}:${pad(minutes)}` : `${minutes}`) + `:${pad(whole % 60)}`;
}

/** Round steps: 1, 2 or 5 times a power of ten; for time, what clocks have. */
function stepOf(rough, choices) {
  if (choices) return choices.find(choice => choice >= rough) ?? Math.ceil(rough / 86400) * 86400;
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * [1, 2, 5, 10].find(factor => factor * power >= rough * 0.999);
}
const TIMES = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400];

export class Chart {
  /** series: {index, name, role, dash, weight}; role is a colour of the style sheet.  least: step of the ticks. */
  constructor(figure, title, unit, series, least = 0) {
    this.unit = unit; this.series = series; this.least = least;
    this.points = []; this.width = 1; this.marks = []; this.cursor = null;
    const caption = make("figcaption", "", figure);
    this.heading = make("h3", "", caption);
    this.rename(title);
    const legend = make("ul", "", caption);
    legend.className = "legend";
    for (const each of series) {
      const item = make("li", "", legend), key = make("i", "", item);
      key.className = each.role + (!each.dash ? "" : each.dash[0] < 4 ? " dotted" : " dashed");
      item.append(each.name + " ");
      each.shown = make("b", "", item);
    }
    this.at = make("span", "", caption); this.at.className = "at";
    this.canvas = make("canvas", "", figure);
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute("role", "img");
    this.heard = make("p", "", figure); this.heard.className = "unseen"; this.heard.setAttribute("aria-live", "polite");
    this.canvas.addEventListener("pointermove", event => this.point(event.offsetX));
    this.canvas.addEventListener("pointerleave", () => this.leave());
    this.canvas.addEventListener("blur", () => this.leave());
    this.canvas.addEventListener("keydown", event => this.key(event));
  }

  rename(title) { this.title = title; set(this.heading, `${title}, ${this.unit}`); }

  /** Of one second it is a count. */
  say(value) { return this.unit === "per second" && Number.isInteger(value) ? value.toLocaleString("en") : three(value); }

  feed(points, width, marks) { this.points = points; this.width = width; this.marks = marks; }

  // what is under the cursor

  leave() { this.cursor = null; this.draw(); }

  point(x) {
    if (!this.points.length) return;
    const at = (x - LEFT) / this.scale() - this.width / 2;
    let best = 0;
    for (let n = 0; n < this.points.length; n++)
      if (Math.abs(this.points[n][0] - at) < Math.abs(this.points[best][0] - at)) best = n;
    this.cursor = this.points[best][0];
    this.draw();
  }

  key(event) {
    const last = this.points.length - 1;
    const here = this.cursor === null ? last : this.points.findIndex(point => point[0] === this.cursor);
    const to = {ArrowLeft: here - 1, ArrowRight: here + 1, PageUp: here - 10, PageDown: here + 10, Home: 0, End: last}[event.key];
    if (event.key === "Escape") this.leave();
    if (to === undefined || last < 0) return;
    event.preventDefault();
    this.cursor = this.points[Math.min(Math.max(to, 0), last)][0];
    this.draw();
    this.heard.textContent = `${this.at.textContent}: ${this.said()}`;
  }

  /** The last whole point, or that under the cursor. */
  chosen() {
    if (this.cursor !== null) return this.points.find(point => point[0] === this.cursor);
    return this.points[this.points.length - 1];
  }

  said() {
    const point = this.chosen();
    return point ? this.series.map(each => `${each.name} ${this.say(mean(point[1][each.index]))}`).join(", ") + ` ${this.unit}` : "nothing yet";
  }

  // drawing

  scale() { return (this.canvas.clientWidth - LEFT - RIGHT) / this.span(); }
  span() { const last = this.points[this.points.length - 1]; return Math.max(last ? last[0] + this.width : 0, 30); }

  draw() {
    const ratio = devicePixelRatio || 1, wide = this.canvas.clientWidth, tall = this.canvas.clientHeight;
    if (!wide) return;
    if (this.canvas.width !== Math.round(wide * ratio) || this.canvas.height !== Math.round(tall * ratio)) {
      this.canvas.width = Math.round(wide * ratio); this.canvas.height = Math.round(tall * ratio);
    }
    const pen = this.canvas.getContext("2d"), style = getComputedStyle(document.documentElement);
    const colour = name => style.getPropertyValue("--" + name).trim();
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, wide, tall);
    pen.font = "12px system-ui, sans-serif";
    let top = 0;
    for (const [, values] of this.points) for (const each of this.series) top = Math.max(top, high(values[each.index]) ?? 0);
    const step = Math.max(stepOf((top || 1) / 5), this.least), ceiling = Math.max(top * 1.04, step);
    const bottom = tall - BOTTOM, x = at => LEFT + at * this.scale(), y = value => bottom - value / ceiling * (bottom - TOP);
    this.axes(pen, colour, {x, y, step, ceiling, bottom, wide});
    for (const mark of this.marks) this.line(pen, x(mark.at), TOP, bottom, colour(mark.bad ? "wrong" : "soft"), [1, 3]);
    for (const each of this.series) this.area(pen, each, colour, x, y);
    for (const each of this.series) this.curve(pen, each, colour, x, y);
    this.readout(pen, colour, x, y, bottom);
  }

  axes(pen, colour, {x, y, step, ceiling, bottom, wide}) {
    pen.textAlign = "right"; pen.textBaseline = "middle";
    for (let value = 0; value <= ceiling; value += step) {
      pen.strokeStyle = colour(value ? "grid" : "rule"); pen.lineWidth = 1; pen.setLineDash([]);
      pen.beginPath(); pen.moveTo(LEFT, Math.round(y(value)) + .5); pen.lineTo(wide - RIGHT, Math.round(y(value)) + .5); pen.stroke();
      pen.fillStyle = colour("soft");
      pen.fillText(short(value, step), LEFT - 6, y(value));
    }
    pen.textAlign = "center"; pen.textBaseline = "alphabetic";
    const every = stepOf(this.span() / Math.max(wide / 90, 2), TIMES);
    for (let at = 0; at <= this.span(); at += every) {
      pen.textAlign = x(at) > wide - 24 ? "right" : "center";
      pen.fillText(clock(at), Math.min(x(at), wide - RIGHT), bottom + 15);
    }
  }

  line(pen, x, from, to, colour, dash) {
    pen.strokeStyle = colour; pen.lineWidth = 1; pen.setLineDash(dash);
    pen.beginPath(); pen.moveTo(Math.round(x) + .5, from); pen.lineTo(Math.round(x) + .5, to); pen.stroke();
  }

  middle(point) { return point[0] + this.width / 2; }

  /** From the lowest to the highest second of each point, where points stand for several. */
  area(pen, each, colour, x, y) {
    if (this.width === 1) return;
    pen.fillStyle = colour(each.role); pen.globalAlpha = .16;
    for (const run of this.runs(each)) {
      pen.beginPath();
      for (const point of run) pen.lineTo(x(this.middle(point)), y(high(point[1][each.index])));
      for (const point of run.toReversed()) pen.lineTo(x(this.middle(point)), y(low(point[1][each.index])));
      pen.fill();
    }
    pen.globalAlpha = 1;
  }

  curve(pen, each, colour, x, y) {
    pen.strokeStyle = pen.fillStyle = colour(each.role); pen.lineWidth = each.weight ?? 1.8; pen.lineJoin = "round";
    for (const run of this.runs(each)) {
      pen.setLineDash(each.dash ?? []);
      pen.beginPath();
      for (const point of run) pen.lineTo(x(this.middle(point)), y(mean(point[1][each.index])));
      pen.stroke();
      if (run.length === 1) { pen.beginPath(); pen.arc(x(this.middle(run[0])), y(mean(run[0][1][each.index])), 2, 0, 7); pen.fill(); }
    }
  }

  /** Neighbours that have a value: a line has a gap where there is none. */
  runs(each) {
    const runs = [[]];
    for (const point of this.points) {
      if (point[1][each.index] !== null) runs[runs.length - 1].push(point);
      else if (runs[runs.length - 1].length) runs.push([]);
    }
    return runs.filter(run => run.length);
  }

  readout(pen, colour, x, y, bottom) {
    const point = this.chosen();
    for (const each of this.series) set(each.shown, point ? this.say(mean(point[1][each.index])) : "–");
    set(this.at, point && this.cursor !== null ? `at ${clock(point[0])}` : "");
    const label = `${this.title}, last: ${this.said()}. Arrow keys move through time.`;
    if (this.cursor === null && this.canvas.getAttribute("aria-label") !== label) this.canvas.setAttribute("aria-label", label);
    if (!point || this.cursor === null) return;
    this.line(pen, x(this.middle(point)), TOP, bottom, colour("ink"), []);
    for (const each of this.series) {
      const value = mean(point[1][each.index]);
      if (value === null) continue;
      pen.fillStyle = colour(each.role); pen.beginPath(); pen.arc(x(this.middle(point)), y(value), 3.5, 0, 7); pen.fill();
    }
  }
}

function short(value, step) {
  if (value >= 10000) return `${+(value / 1000).toFixed(1)}k`;
  return step < 1 ? value.toFixed(Math.min(Math.ceil(-Math.log10(step)), 3)) : String(Math.round(value));
}

export function make(tag, text, parent) {
  const element = document.createElement(tag);
  if (text) element.textContent = text;
  parent.append(element);
  return element;
}

/** Text, and only where it is another. */
export function set(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
