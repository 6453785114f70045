/* Relative times: fills [data-relative] from the nearest <time datetime>; the server writes absolute times only. */
const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
const words = new Intl.RelativeTimeFormat(document.documentElement.lang || "en", { numeric: "always", style: "short" });

function relative(then, now) {
  const seconds = Math.round((then - now) / 1000);
  if (Math.abs(seconds) < 5) return "now";
  const [unit, size] = UNITS.find(([, length]) => Math.abs(seconds) >= length);
  return words.format(Math.trunc(seconds / size), unit);
}

function update() {
  const now = Date.now();
  for (const spot of document.querySelectorAll("[data-relative]")) {
    const then = Date.parse(spot.closest("time")?.dateTime ?? "");
    if (Number.isNaN(then)) continue;
    const text = relative(then, now);
    if (spot.textContent !== text) spot.textContent = text;
  }
  for (const spot of document.querySelectorAll("[data-elapsed-since]")) {
    const seconds = Math.max(0, Math.round((now - Date.parse(spot.dataset.elapsedSince)) / 1000));
    const text = seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${String(seconds % 60).padStart(2, "0")} s`;
    if (!Number.isNaN(seconds) && spot.textContent !== text) spot.textContent = text;
  }
}

update();
setInterval(update, 1000);
document.addEventListener("htmx:after:swap", update);
