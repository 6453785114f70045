/* Gate charts with uPlot: limit line, shaded breaches, a tick for every poll. Data: JSON at data-src (docs/design-system.md);
   the table beside the chart holds the same numbers for readers without a picture. */
const charts = new Map();
const HEIGHT = 190;

const colour = (name) => {
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
};

const palette = () => ({
  line: colour("--accent"), fill: colour("--accent-soft"), grid: colour("--line"), text: colour("--muted"),
  limit: colour("--bad"), breach: colour("--bad-soft"), more: [colour("--line-strong"), colour("--wait"), colour("--warn")],
});

/* Times in the zone that the page says its times are in, with seconds where a window is short. */
const zone = document.documentElement.dataset.zone || "UTC";
const clock = (seconds, withSeconds = true) => new Date(seconds * 1000).toLocaleTimeString("en-GB", {
  hour: "2-digit", minute: "2-digit", ...(withSeconds ? { second: "2-digit" } : {}), hourCycle: "h23", timeZone: zone,
});
const SHORT_WINDOW = 15 * 60;
const newest = (values) => values.findLastIndex((value) => value != null);

/* The first breach: where it began, how high the value was, and words for both. */
function breachOf(data, said) {
  const from = data.breaches?.[0]?.[0];
  const index = from == null ? -1 : data.t.indexOf(from);
  const value = index < 0 ? null : data.series[0].v[index];
  return value == null ? null : { from, value, words: `breached ${clock(from)}: ${said(value)}` };
}

function decorations(data, colours, said) {
  const breach = breachOf(data, said);
  // the words of a breach stand at the top above it, those of the limit on the other side
  const roomLeft = (plot) => breach && plot.valToPos(breach.from, "x", true) - plot.bbox.left > plot.bbox.width / 2;
  const behind = (plot) => {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.fillStyle = colours.breach;
    for (const [from, to] of data.breaches ?? []) {
      const left = Math.max(bbox.left, plot.valToPos(from, "x", true));
      const right = Math.min(bbox.left + bbox.width, plot.valToPos(to, "x", true));
      const wide = Math.max(8 * (window.devicePixelRatio || 1), right - left);
      ctx.fillRect(left, bbox.top, Math.min(wide, bbox.left + bbox.width - left), bbox.height);
    }
    ctx.restore();
  };
  const above = (plot) => {
    const { ctx, bbox } = plot;
    const dot = window.devicePixelRatio || 1;
    ctx.save();
    ctx.strokeStyle = colours.text;
    ctx.lineWidth = dot;
    for (const moment of data.polls ?? []) {
      const x = plot.valToPos(moment, "x", true);
      ctx.beginPath();
      ctx.moveTo(x, bbox.top + bbox.height);
      ctx.lineTo(x, bbox.top + bbox.height - 5 * dot);
      ctx.stroke();
    }
    if (data.limit) {
      const y = plot.valToPos(data.limit.value, "y", true);
      ctx.strokeStyle = colours.limit;
      ctx.lineWidth = 1.5 * dot;
      ctx.setLineDash([6 * dot, 4 * dot]);
      ctx.beginPath();
      ctx.moveTo(bbox.left, y);
      ctx.lineTo(bbox.left + bbox.width, y);
      ctx.stroke();
      ctx.setLineDash([]);
      ctx.fillStyle = colours.limit;
      ctx.font = `600 ${11 * dot}px Inter, sans-serif`;
      const atEnd = roomLeft(plot);
      ctx.textAlign = atEnd ? "right" : "left";
      ctx.textBaseline = "bottom";
      const x = atEnd ? bbox.left + bbox.width - 4 * dot : bbox.left + 4 * dot;
      ctx.fillText(data.limit.label ?? `limit ${data.limit.value}`, x, y - 3 * dot);
    }
    if (breach) {
      const x = plot.valToPos(breach.from, "x", true);
      const y = plot.valToPos(breach.value, "y", true);
      ctx.fillStyle = colours.limit;
      ctx.beginPath();
      ctx.arc(x, y, 5 * dot, 0, 2 * Math.PI);
      ctx.fill();
      ctx.font = `600 ${11 * dot}px Inter, sans-serif`;
      ctx.textAlign = "center";
      ctx.textBaseline = "top";
      const half = ctx.measureText(breach.words).width / 2 + 4 * dot;
      const middle = Math.min(Math.max(x, bbox.left + half), bbox.left + bbox.width - half);
      ctx.fillText(breach.words, middle, bbox.top + 2 * dot);
    }
    ctx.restore();
  };
  return { drawClear: [behind], draw: [above] };
}

function options(area, data) {
  const colours = palette();
  const axis = { stroke: colours.text, grid: { stroke: colours.grid, width: 1 }, ticks: { show: false }, font: "11px Inter, sans-serif" };
  const unit = data.unit ? ` ${data.unit}` : "";
  const said = (value) => `${value.toLocaleString("en-GB", { maximumFractionDigits: 2 })}${unit}`;
  const [from, to] = data.window ?? [data.t[0], data.t.at(-1)];
  const short = to - from < SHORT_WINDOW; // needs the seconds, or every mark reads the same
  return {
    width: Math.max(200, area.clientWidth),
    height: HEIGHT,
    cursor: { points: { size: 7 } },
    legend: { live: true },
    scales: {
      x: { time: true, range: data.window ? (_, low, high) => [data.window[0], Math.max(data.window[1], high ?? 0)] : undefined },
      y: { range: (_, low, high) => {
        const top = Math.max(high ?? 0, data.limit?.value ?? 0) * 1.2 || 1;
        return [Math.min(0, low ?? 0), top]; // from zero: half a limit has to look like half
      } },
    },
    axes: [
      { ...axis, space: short ? 80 : 60, values: (_, marks) => marks.map((mark) => clock(mark, short)) },
      { ...axis, size: 52, values: (_, marks) => marks.map((mark) => mark.toLocaleString("en-GB")) },
    ],
    series: [
      // until a pointer is over the chart, the legend says the newest look
      { label: "At", value: (_, value) => clock(value ?? data.t.at(-1)) },
      ...data.series.map((one, index) => ({
        label: one.label,
        stroke: index === 0 ? colours.line : colours.more[(index - 1) % colours.more.length],
        width: index === 0 ? 2 : 1,
        dash: index === 0 ? undefined : [3, 3],
        spanGaps: false, // a gap is no data, and no data must look like none
        points: { show: index === 0 && data.t.length < 60, size: 5 },
        value: (_, value, series, at) => {
          const shown = at == null ? one.v[newest(one.v)] : value;
          return shown == null ? "no data" : said(shown);
        },
      })),
    ],
    hooks: decorations(data, colours, said),
  };
}

function draw(area, data) {
  const kept = charts.get(area);
  kept?.plot?.destroy();
  area.replaceChildren();
  if (!data.t.length) {
    const none = document.createElement("div");
    none.className = "chart-none";
    none.textContent = "No samples yet";
    area.append(none);
    charts.set(area, { data });
    return;
  }
  const plot = new window.uPlot(options(area, data), [data.t, ...data.series.map((one) => one.v)], area);
  charts.set(area, { data, plot });
}

function tabulate(area, data) {
  const body = area.closest(".chart")?.querySelector("[data-chart-table] tbody");
  if (!body) return;
  const rows = data.t.map((moment, index) => {
    const row = document.createElement("tr");
    const value = data.series[0]?.v[index];
    const cells = [
      clock(moment),
      value == null ? "no data" : `${value.toLocaleString("en-GB")} ${data.unit ?? ""}`.trim(),
      data.verdicts?.[index] ?? "",
    ];
    cells.forEach((text, place) => {
      const cell = document.createElement("td");
      cell.textContent = text;
      if (place === 1) cell.className = "num";
      row.append(cell);
    });
    return row;
  });
  body.replaceChildren(...rows.reverse());
}

async function load(area) {
  const kept = charts.get(area) ?? {};
  const headers = { Accept: "application/json", "X-Poll": "1", ...(kept.tag ? { "If-None-Match": kept.tag } : {}) };
  const answer = await fetch(area.dataset.src, { headers, credentials: "same-origin" });
  if (answer.status === 304) return;
  if (!answer.ok) throw new Error(`${area.dataset.src} answered ${answer.status}`);
  const data = await answer.json();
  draw(area, data);
  tabulate(area, data);
  charts.get(area).tag = answer.headers.get("ETag");
}

async function watch(area) {
  area.dataset.started = "yes";
  const pause = Number(area.dataset.poll) * 1000;
  do {
    if (!document.hidden) {
      await load(area).catch(() => area.dispatchEvent(new CustomEvent("gr:chart-unreachable", { bubbles: true })));
    }
    await new Promise((wake) => setTimeout(wake, pause || 0));
  } while (pause && area.isConnected);
}

function start() {
  if (!window.uPlot) return;
  for (const area of document.querySelectorAll("[data-chart][data-src]:not([data-started])")) watch(area);
}

let redrawSoon = 0;
function redraw() {
  clearTimeout(redrawSoon);
  redrawSoon = setTimeout(() => charts.forEach(({ data, tag }, area) => {
    if (!area.isConnected) { charts.delete(area); return; }
    draw(area, data);
    charts.get(area).tag = tag;
  }), 120);
}

start();
document.addEventListener("htmx:after:swap", start);
document.addEventListener("gr:theme", redraw);
window.addEventListener("resize", redraw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
